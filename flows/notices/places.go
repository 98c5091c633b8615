package notices

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"congdanso/bot"
	"congdanso/bot/fold"
	"congdanso/bot/notice"
	"congdanso/bot/unit"
	"congdanso/flows/way"
)

// isPlace reports whether code is that of a commune of today.
func (f *Flow) isPlace(t *bot.Turn, code string) bool {
	u, ok := f.units.Current(code, t.Now)
	return ok && u.IsCommune()
}

// label is how a unit is called.
func (f *Flow) label(t *bot.Turn, u unit.Unit) string {
	return f.units.Label(t.Texts, t.Citizen.Language, u)
}

// areaNames are the names of communes; one that is no more is left out.
func (f *Flow) areaNames(t *bot.Turn, codes []string) []string {
	var names []string
	for _, code := range codes {
		if u, ok := f.units.Current(code, t.Now); ok {
			names = append(names, f.label(t, u))
		}
	}
	return names
}

// capital begins a line with a capital letter.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// placeChoice is a commune as a choice: its whole name in the list, on the button
// what fits.
func (f *Flow) placeChoice(t *bot.Turn, u unit.Unit, before, payload string) bot.Choice {
	short := strings.TrimSpace(before + " " + u.Name)
	c := bot.Choice{Payload: payload, Words: []string{short}}
	c.Label = capital(strings.TrimSpace(before + " " + f.label(t, u)))
	c.Title = c.Label
	if utf8.RuneCountInString(c.Title) > bot.MaxTitle {
		c.Title, c.Words = short, nil
	}
	if r := []rune(c.Title); len(r) > bot.MaxTitle {
		c.Title = strings.TrimSpace(string(r[:bot.MaxTitle]))
	}
	return c
}

// places says for which communes one is told, and asks for more.
func (f *Flow) places(ctx context.Context, t *bot.Turn) error {
	o, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	return f.listPlaces(t, o, "")
}

func (f *Flow) listPlaces(t *bot.Turn, o notice.Overview, first string) error {
	text := t.T("notices.places.ask")
	var choices []bot.Choice
	if names := f.areaNames(t, o.Areas); len(names) > 0 {
		text = t.T("notices.places.now", "Areas", list(names))
		for _, code := range o.Areas {
			if u, ok := f.units.Current(code, t.Now); ok && len(choices) < bot.MaxButtons-2 {
				choices = append(choices, f.placeChoice(t, u, t.T("notices.button.drop"), bot.Payload(Name, "place_drop", code)))
			}
		}
		if len(names) > 1 {
			choices = append(choices, to(t, "notices.button.clear", "places_clear", ""))
		}
	}
	return ask(t, stepPlaces, state{}, lines(first, text), append(apart(choices), way.Zero(to(t, "notices.button.done", "show", "")))...)
}

// shortName is how many words a text that does not say "commune" may have to be
// taken for a mistaken name.
const shortName = 3

// find finds the communes that a sentence names.
func (f *Flow) find(t *bot.Turn, s *said) []unit.Match {
	if matches := f.units.Find(t.Text(), t.Now); len(matches) > 0 {
		return matches
	}
	return f.units.Find(s.without("notices.words.around", "notices.words.remove"), t.Now)
}

// takePlace takes the name of a commune, to add or, with such a word, to remove.
func (f *Flow) takePlace(ctx context.Context, t *bot.Turn) error {
	s := f.hear(t)
	matches := f.find(t, s)
	if s.ends() {
		if s.says("notices.words.all") {
			return f.clearPlaces(t)
		}
		o, err := f.notices.Overview(ctx, t.Citizen.ID)
		if err != nil {
			return err
		}
		for _, m := range matches {
			for _, u := range m.Today {
				if slices.Contains(o.Areas, u.Code) {
					return f.dropPlace(ctx, t, u.Code)
				}
			}
		}
		if len(matches) > 0 {
			return f.listPlaces(t, o, t.T("notices.places.not_had", "Area", f.label(t, matches[0].Unit)))
		}
	}
	if len(matches) > 0 {
		return f.placeSaid(ctx, t, matches)
	}
	if len(s.plain) > shortName && !s.says("notices.words.kinds") || f.leads(t, s) {
		return bot.ErrNotMine
	}
	return ask(t, stepPlaces, state{}, t.T("notices.places.unknown"),
		way.Zero(to(t, "notices.button.later", "show", "")))
}

// leads reports whether a sentence that names no commune leads somewhere else.
func (f *Flow) leads(t *bot.Turn, s *said) bool {
	for _, c := range []bot.Choice{way.Lookup(t), way.Mine(t), way.Human(t)} {
		for _, said := range ways(c) {
			if fold.SameWords(t.Text(), said) {
				return true
			}
		}
	}
	return len(s.topics) > 0 || s.says("notices.words.topics") || s.says("notices.words.when") || s.says("notices.words.around")
}

// placeSaid adds the commune that was named, or asks which one was meant.
func (f *Flow) placeSaid(ctx context.Context, t *bot.Turn, matches []unit.Match) error {
	if len(matches) == 1 && matches[0].Whole {
		return f.addPlace(ctx, t, matches[0].Today[0].Code, &matches[0].Unit)
	}
	text, choices := f.which(t, matches, func(code string) string { return bot.Payload(Name, "place_add", code) })
	return ask(t, stepPlaces, state{}, text, append(choices, way.Zero(to(t, "notices.button.later", "show", "")))...)
}

// mostNames is how many names a message lists; more are not listed at all.
const mostNames = 12

// which asks which commune was meant: those that a name leads to by itself are
// choices, those of a whole district are listed to be typed.
func (f *Flow) which(t *bot.Turn, matches []unit.Match, payload func(code string) string) (string, []bot.Choice) {
	var sure, rest []unit.Unit
	add := func(to *[]unit.Unit, u unit.Unit) {
		same := func(other unit.Unit) bool { return other.Code == u.Code }
		if !slices.ContainsFunc(sure, same) && !slices.ContainsFunc(rest, same) {
			*to = append(*to, u)
		}
	}
	for _, m := range matches {
		for _, u := range m.Today {
			if (m.Whole || len(m.Today) < bot.MaxButtons) && len(sure) < bot.MaxButtons-1 {
				add(&sure, u)
			}
		}
	}
	for _, m := range matches {
		for _, u := range m.Today {
			add(&rest, u)
		}
	}
	var names []string
	for _, u := range rest {
		names = append(names, u.Name)
	}
	if len(names) > mostNames {
		names = nil
	}
	old := capital(f.label(t, matches[0].Unit))
	if len(sure) == 0 {
		return t.T("notices.places.district", "Old", old, "Names", strings.Join(names, ", ")), nil
	}
	var choices []bot.Choice
	for _, u := range sure {
		choices = append(choices, f.placeChoice(t, u, "", payload(u.Code)))
	}
	text := t.T("notices.places.several")
	if len(matches) == 1 {
		text = t.T("notices.places.split", "Old", old)
	}
	if len(rest) > 0 {
		text = lines(text, t.T("notices.places.others", "Names", strings.Join(names, ", ")))
	}
	return text, apart(choices)
}

// addPlace adds a commune. Said is the unit that was named, if one was. Somebody
// who gets nothing yet is asked for a topic first.
func (f *Flow) addPlace(ctx context.Context, t *bot.Turn, code string, said *unit.Unit) error {
	if !f.isPlace(t, code) {
		return f.places(ctx, t)
	}
	o, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	u, _ := f.units.Current(code, t.Now)
	area := f.label(t, u)
	if len(f.subscribed(o)) == 0 {
		return f.listTopics(ctx, t, state{Areas: []string{code}}, t.T("notices.places.first_topic", "Area", area))
	}
	var first string
	switch {
	case slices.Contains(o.Areas, code):
		first = t.T("notices.places.already", "Area", area)
	case len(o.Areas) >= notice.MaxAreas:
		first = t.T("notices.places.full", "Most", notice.MaxAreas)
	default:
		t.Do(notice.AddArea{Code: code})
		o.Areas = append(slices.Clone(o.Areas), code)
		first = t.T("notices.places.added", "Area", area)
		if said != nil && said.Ref() != u.Ref() {
			first = t.T("notices.places.renamed", "Area", area, "Old", f.label(t, *said))
		}
	}
	return f.listPlaces(t, o, first)
}

// dropPlace takes a commune away.
func (f *Flow) dropPlace(ctx context.Context, t *bot.Turn, code string) error {
	o, err := f.notices.Overview(ctx, t.Citizen.ID)
	if err != nil {
		return err
	}
	if !slices.Contains(o.Areas, code) {
		return f.listPlaces(t, o, "")
	}
	t.Do(notice.RemoveArea{Code: code})
	first := ""
	if u, ok := f.units.Current(code, t.Now); ok {
		first = t.T("notices.places.dropped", "Area", f.label(t, u))
	}
	o.Areas = slices.DeleteFunc(slices.Clone(o.Areas), func(c string) bool { return c == code })
	return f.listPlaces(t, o, first)
}

func (f *Flow) clearPlaces(t *bot.Turn) error {
	t.Do(notice.ClearAreas{})
	return f.listPlaces(t, notice.Overview{}, t.T("notices.places.cleared"))
}
