package content

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"congdanso/bot"
)

// Problem is something in the content that residents must not meet.
type Problem struct {
	File string // empty when it belongs to no file
	Lang string
	Key  string // message key, menu or fact
	What string
	// Warning marks what a person should look at, and does not stop the start.
	Warning bool
}

// String is the problem as one line.
func (p Problem) String() string {
	var parts []string
	for _, s := range []string{p.File, p.Lang, p.Key} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	what := p.What
	if p.Warning {
		what = "warning: " + what
	}
	return strings.Join(append(parts, what), ": ")
}

// Errors are the problems that stop the start.
func Errors(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Warning })
}

// comfortable is the length in characters beyond which a text is told as a
// warning: one thing a message. Zalo's own limit is bot.MaxText.
const comfortable = 600

// actor is a flow that lists the actions its payloads may name.
type actor interface{ Actions() []string }

// Check looks through the whole library before anybody reads it: keys one
// language lacks, keys and fields the embedded texts have and these do not,
// templates that fail, texts and titles that are too long, facts nobody knows,
// menus with more buttons than Zalo shows or payloads no flow answers. The
// embedded texts are the measure, for the flows were tested against them.
func Check(l *Library, flows []bot.Flow) []Problem {
	problems := slices.Clone(l.faults)
	reference, err := Load(embedded, time.UTC)
	if err != nil {
		return append(problems, Problem{What: fmt.Sprintf("embedded content: %v", err)})
	}
	problems = append(problems, l.checkKeys(reference)...)
	problems = append(problems, l.checkTexts(reference)...)
	problems = append(problems, l.checkMenus(flows)...)
	problems = append(problems, l.checkTopics()...)
	problems = append(problems, l.province.check()...)
	sort.SliceStable(problems, func(i, j int) bool {
		a, b := problems[i], problems[j]
		return a.File+"\x00"+a.Key+"\x00"+a.Lang < b.File+"\x00"+b.Key+"\x00"+b.Lang
	})
	return problems
}

// checkKeys tells keys that some language lacks.
func (l *Library) checkKeys(reference *Library) []Problem {
	var problems []Problem
	for key, file := range mergedKeys(l, reference) {
		for _, lang := range Languages {
			if _, ok := l.messages[lang][key]; !ok {
				problems = append(problems, Problem{File: file, Lang: lang, Key: key, What: "missing"})
			}
		}
	}
	for lang := range l.messages {
		if !slices.Contains(Languages, lang) {
			problems = append(problems, Problem{Lang: lang, What: "a language the channel does not speak"})
		}
	}
	return problems
}

// mergedKeys are the keys of all libraries and languages, each with a file it stands in.
func mergedKeys(libraries ...*Library) map[string]string {
	keys := map[string]string{}
	for _, l := range libraries {
		for _, messages := range l.messages {
			for key, e := range messages {
				keys[key] = e.file
			}
		}
	}
	return keys
}

// checkTexts tries every template and measures what it says.
func (l *Library) checkTexts(reference *Library) []Problem {
	var problems []Problem
	for lang, messages := range l.messages {
		for key, e := range messages {
			known := reference.fields(key)
			for _, form := range forms(e.message) {
				tell := func(warning bool, format string, args ...any) {
					problems = append(problems, Problem{File: e.file, Lang: lang, Key: key,
						What: fmt.Sprintf(format, args...), Warning: warning})
				}
				fields, err := templateFields(*form)
				if err != nil {
					tell(false, "template: %v", err)
					continue
				}
				for _, f := range fields {
					if known != nil && !slices.Contains(known, f) {
						tell(false, "nothing fills {{.%s}}", f)
					}
				}
				length := utf8.RuneCountInString(action.ReplaceAllString(*form, ""))
				switch {
				case length > bot.MaxText:
					tell(false, "%d characters; Zalo takes %d", length, bot.MaxText)
				case length > comfortable:
					tell(true, "%d characters; about %d are read", length, comfortable)
				}
				if limit := formLimit(key); limit > 0 && length > limit {
					tell(false, "%d characters; Zalo's form takes %d", length, limit)
				}
				if isButton(key) {
					title := Title(*form)
					if n := utf8.RuneCountInString(title); n > bot.MaxTitle {
						tell(false, "button %q has %d characters; phones show %d", title, n, bot.MaxTitle)
					}
					if title == "" || strings.Contains(*form, "\n") {
						tell(false, "a button is one line: title | longer label | word, word")
					}
				}
			}
		}
	}
	return problems
}

var action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// formLimit is how long a part of Zalo's form for name and phone may be, told by
// its key ("flow.form.title"); 0 for all other texts.
func formLimit(key string) int {
	switch {
	case strings.HasSuffix(key, ".form.title"):
		return 100
	case strings.HasSuffix(key, ".form.subtitle"):
		return 500
	}
	return 0
}

// isButton reports whether key is a button's: "flow.button.name".
func isButton(key string) bool { return strings.Contains(key, ".button.") }

// Title is the title of a button's text, "title | longer label | word, word",
// of which the last two may be left out.
func Title(button string) string {
	title, _, _ := strings.Cut(button, "|")
	return strings.TrimSpace(title)
}

// checkMenus tells menus that cannot be shown or that lead nowhere.
func (l *Library) checkMenus(flows []bot.Flow) []Problem {
	var problems []Problem
	for name, items := range l.menus {
		tell := func(format string, args ...any) {
			problems = append(problems, Problem{File: "menus/" + name + ".toml", What: fmt.Sprintf(format, args...)})
		}
		if len(items) == 0 {
			tell("empty")
		}
		if len(items) > bot.MaxButtons {
			tell("%d items; Zalo shows %d buttons", len(items), bot.MaxButtons)
		}
		for _, item := range items {
			for _, lang := range Languages {
				if _, ok := l.messages[lang][item.Button]; !ok || !isButton(item.Button) {
					tell("%s: no button %q", lang, item.Button)
				}
			}
			if err := checkPayload(item.Payload, flows); err != nil {
				tell("%v", err)
			}
		}
	}
	return problems
}

// checkPayload says why no flow would answer payload.
func checkPayload(payload string, flows []bot.Flow) error {
	name, act, _, ok := bot.ParsePayload(payload)
	if !ok {
		return fmt.Errorf("payload %q is not #flow.action", payload)
	}
	if utf8.RuneCountInString(payload) > bot.MaxPayload {
		return fmt.Errorf("payload %q is longer than %d", payload, bot.MaxPayload)
	}
	for _, f := range flows {
		if f.Name() != name {
			continue
		}
		if a, ok := f.(actor); ok && slices.Contains(a.Actions(), act) {
			return nil
		}
		return fmt.Errorf("payload %q: flow %s has no action %q", payload, name, act)
	}
	return fmt.Errorf("payload %q: no flow %q", payload, name)
}

var prefixForm = regexp.MustCompile(`^[A-Y][0-9]{2}$`)

// check tells what is wrong with the province pack.
func (p Province) check() []Problem {
	var problems []Problem
	tell := func(lang, key, format string, args ...any) {
		problems = append(problems, Problem{File: "province.toml", Lang: lang, Key: key, What: fmt.Sprintf(format, args...)})
	}
	known := slices.Concat(requiredFacts, optionalFacts, []string{"or"})
	for _, lang := range Languages {
		for _, name := range append(slices.Clone(requiredFacts), "or") {
			if strings.TrimSpace(p.Facts[lang][name]) == "" {
				tell(lang, name, "must be given")
			}
		}
		for name, value := range p.Facts[lang] {
			if !slices.Contains(known, name) {
				tell(lang, name, "no text can quote this fact")
			}
			if strings.ContainsAny(value, "{}‹›\n") {
				tell(lang, name, "must be plain words on one line")
			}
		}
	}
	for name, number := range p.Dossier.Statuses {
		if number < 1 || number > 10 {
			tell("", name, "national statuses are 1 to 10, not %d", number)
		}
	}
	for _, prefix := range slices.Concat(p.Dossier.OwnPrefixes, p.Dossier.NationalPrefixes) {
		if !prefixForm.MatchString(prefix) {
			tell("", prefix, "a prefix is a letter and two digits")
		}
	}
	for _, city := range p.Zalo.Cities {
		if city < 0 || city > 63 {
			tell("", "zalo_cities", "Zalo's numbers of provinces are 0 to 63, not %d", city)
		}
	}
	if len(p.Dossier.OwnPrefixes) == 0 {
		tell("", "own_prefixes", "must be given")
	}
	return problems
}
