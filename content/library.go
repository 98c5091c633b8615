package content

import (
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"congdanso/bot"
)

// Languages are the languages every text must exist in, the first being the
// default.
var Languages = []string{bot.Vietnamese, bot.English}

// Library is everything people read, loaded and ready. It satisfies bot.Texts
// and is safe for concurrent use.
type Library struct {
	tz        *time.Location
	province  Province
	facts     map[string]map[string]string // language → fact → value
	messages  map[string]map[string]entry  // language → key → message
	localizer map[string]*i18n.Localizer
	plain     map[string]map[string]plain // language → key → text that needs no engine
	menus     map[string][]MenuItem
	topics    []Topic
	faults    []Problem // found while loading, told by Check
}

// entry is a message and the file it stands in.
type entry struct {
	file    string
	message *i18n.Message
}

// MenuItem is one line of a menu: the key of its button and what it does.
type MenuItem struct {
	Button  string `toml:"button"`
	Payload string `toml:"payload"`
}

// Option changes how a library is loaded.
type Option func(*options)

type options struct {
	publicURL string
	sample    bool
}

// WithPublicURL tells how the world reaches us, so that texts can point at the
// page that says what is kept and why. Without it those lines are left out.
func WithPublicURL(url string) Option {
	return func(o *options) { o.publicURL = strings.TrimRight(url, "/") }
}

// WithSample fills what the province has not told with facts that say of
// themselves that they are samples. It is meant for a developer's machine only.
func WithSample() Option { return func(o *options) { o.sample = true } }

// Load reads all texts, menus, topics and the province pack from fsys, whose layout is
// that of Files. Times are said in tz. It fails where something cannot be read
// at all; what can be read but must not go out is for Check to tell.
func Load(fsys fs.FS, tz *time.Location, opts ...Option) (*Library, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	l := &Library{
		tz:        tz,
		messages:  map[string]map[string]entry{},
		localizer: map[string]*i18n.Localizer{},
		plain:     map[string]map[string]plain{},
		menus:     map[string][]MenuItem{},
	}
	province, err := loadProvince(fsys, o)
	if err != nil {
		return nil, err
	}
	l.province = province
	l.facts = province.facts(o.publicURL)
	if err := l.loadLocales(fsys); err != nil {
		return nil, err
	}
	if err := l.loadMenus(fsys); err != nil {
		return nil, err
	}
	if err := l.loadTopics(fsys); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Library) loadLocales(fsys fs.FS) error {
	names, err := tomlFiles(fsys, "locales")
	if err != nil {
		return err
	}
	bundle := i18n.NewBundle(language.Vietnamese)
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		file, err := i18n.ParseMessageFileBytes(raw, name, map[string]i18n.UnmarshalFunc{"toml": toml.Unmarshal})
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		lang := file.Tag.String()
		if l.messages[lang] == nil {
			l.messages[lang] = map[string]entry{}
		}
		for _, m := range file.Messages {
			if other, twice := l.messages[lang][m.ID]; twice {
				l.fault(name, lang, m.ID, "also stands in "+other.file)
			}
			for _, form := range forms(m) {
				expanded, unknown := expand(strings.TrimSpace(*form), l.facts[lang])
				for _, fact := range unknown {
					l.fault(name, lang, m.ID, "unknown fact ‹"+fact+"›")
				}
				*form = expanded
			}
			l.messages[lang][m.ID] = entry{file: name, message: m}
			if p, ok := compile(m); ok {
				if l.plain[lang] == nil {
					l.plain[lang] = map[string]plain{}
				}
				l.plain[lang][m.ID] = p
			}
		}
		if err := bundle.AddMessages(file.Tag, file.Messages...); err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
	}
	for _, lang := range Languages {
		l.localizer[lang] = i18n.NewLocalizer(bundle, lang)
	}
	return nil
}

func (l *Library) loadMenus(fsys fs.FS) error {
	names, err := tomlFiles(fsys, "menus")
	if err != nil {
		return err
	}
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		var menu struct {
			Items []MenuItem `toml:"item"`
		}
		if err := toml.Unmarshal(raw, &menu); err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		l.menus[strings.TrimSuffix(path.Base(name), ".toml")] = menu.Items
	}
	return nil
}

func tomlFiles(fsys fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && path.Ext(e.Name()) == ".toml" {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	sort.Strings(names)
	return names, nil
}

func (l *Library) fault(file, lang, key, what string) {
	l.faults = append(l.faults, Problem{File: file, Lang: lang, Key: key, What: what})
}

// forms are the plural forms of m that have words.
func forms(m *i18n.Message) []*string {
	var all []*string
	for _, f := range []*string{&m.Zero, &m.One, &m.Two, &m.Few, &m.Many, &m.Other} {
		if *f != "" {
			all = append(all, f)
		}
	}
	return all
}

// Province is the province pack.
func (l *Library) Province() Province { return l.province }

// Menu is the menu of that name ("main"), in its order; nil when there is none.
func (l *Library) Menu(name string) []MenuItem { return l.menus[name] }

// Text finds the text of key in lang, filled with data; an entry "Count" in data
// chooses the plural form. A language we do not speak gets Vietnamese. A key
// that does not exist yields the key itself, which Check has refused before.
func (l *Library) Text(lang, key string, data map[string]any) string {
	if l.localizer[lang] == nil {
		lang = Languages[0]
	}
	if p, ok := l.plain[lang][key]; ok {
		return p.fill(data)
	}
	if e, ok := l.messages[lang][key]; ok && len(forms(e.message)) == 0 {
		return "" // all its lines needed facts that nobody has given
	}
	config := &i18n.LocalizeConfig{MessageID: key, TemplateData: data}
	if count, ok := data["Count"]; ok {
		config.PluralCount = count
	}
	text, err := l.localizer[lang].Localize(config)
	if err != nil && text == "" {
		return key
	}
	return tidy(text)
}

// tidy takes away what a line left out leaves behind: blanks at the ends of
// lines and more than one empty line in a row.
func tidy(text string) string {
	if !strings.Contains(text, "\n") {
		return strings.TrimSpace(text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	kept := lines[:0]
	for _, line := range lines {
		line = strings.TrimRight(line, " \t\r")
		if line == "" && len(kept) > 0 && kept[len(kept)-1] == "" {
			continue
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}

// Moment says a time as people do: "thứ Hai 17/06/2024, 17:00", and
// "16:25 hôm nay" when it is on the day of now.
func (l *Library) Moment(lang string, at, now time.Time) string {
	at, now = at.In(l.tz), now.In(l.tz)
	clock := at.Format("15:04")
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return l.Text(lang, "time.today", map[string]any{"Clock": clock})
	}
	return l.Text(lang, "time.moment", map[string]any{"Day": l.Day(lang, at), "Clock": clock})
}

// Day says a date: "thứ Hai 17/06/2024".
func (l *Library) Day(lang string, at time.Time) string {
	at = at.In(l.tz)
	return l.Text(lang, "time.day", map[string]any{
		"Weekday": l.Text(lang, fmt.Sprintf("weekday.%d", at.Weekday()), nil),
		"Date":    at.Format("02/01/2006"),
	})
}
