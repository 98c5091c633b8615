package dossier

import (
	"strconv"
	"strings"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/flows/way"
)

// pageSize is how many characters of a long answer go into one message; the rest
// waits behind "next". It leaves room for the choices within bot.MaxText.
const pageSize = 1650

// sayPage says one page of blocks, with a way to the next one before choices.
func (f *Flow) sayPage(t *bot.Turn, action string, code dossier.Code, blocks []string, page int, choices []bot.Choice) {
	t.Conv.Leave()
	all := pages(blocks)
	page = min(page, len(all))
	text := all[page-1]
	if page > 1 {
		text = t.T("dossier.page", "Code", string(code), "Page", page, "Pages", len(all)) + "\n\n" + text
	}
	if page < len(all) {
		more := way.To(t, "dossier.button.more", bot.Payload(Name, action, string(code)+","+strconv.Itoa(page+1)))
		choices = append([]bot.Choice{more}, choices...)
	}
	choices = append(choices[:min(len(choices), bot.MaxButtons-1)], way.Home(t))
	t.Say(bot.Message{Text: text, Choices: choices, Kind: bot.KindStatus, About: f.about(code)})
}

// pages lays blocks out on pages, none longer than pageSize. A block that is
// longer by itself goes on over the next page, cut between words.
func pages(blocks []string) []string {
	var all []string
	var current []string
	length := 0
	flush := func() {
		if len(current) > 0 {
			all = append(all, strings.Join(current, "\n\n"))
			current, length = nil, 0
		}
	}
	for _, block := range blocks {
		for _, piece := range pieces(strings.TrimSpace(block)) {
			n := len([]rune(piece)) + 2
			if length+n > pageSize {
				flush()
			}
			current, length = append(current, piece), length+n
		}
	}
	flush()
	if len(all) == 0 {
		return []string{""}
	}
	return all
}

// pieces cuts a block into parts that fit a page.
func pieces(block string) []string {
	if block == "" {
		return nil
	}
	runes := []rune(block)
	var all []string
	for len(runes) > pageSize-2 {
		at := pageSize - 2
		for i := at; i > at/2; i-- {
			if runes[i] == ' ' || runes[i] == '\n' {
				at = i
				break
			}
		}
		all = append(all, strings.TrimSpace(string(runes[:at])))
		runes = []rune(strings.TrimSpace(string(runes[at:])))
	}
	return append(all, string(runes))
}
