// Package setting holds what operators change while the server runs: budgets,
// which rungs are used, which notices are sent.
//
// A package declares its settings as package variables, each with a default and
// what it may be, and asks them of a snapshot:
//
//	var ceiling = setting.Int("push.ceiling", 3, 1, 20)
//
//	if pushes >= ceiling.Of(settings.Values()) { … }
//
// Values stand in the table setting; a name without a row has its default. Every
// instance reads the table anew every few seconds and answers from memory, so
// that nothing waits for a setting, and an absent Postgres changes none. What is
// set once for an installation, or is secret, stands in the environment instead.
//
// What a setting is for is told to operators by the text of its AboutKey.
package setting

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"congdanso/bot"
)

// Kinds of settings.
const (
	KindInt  = "int"
	KindBool = "bool"
	KindText = "text"
)

// How a bool is written. See parseBool for what else is understood.
const (
	on  = "on"
	off = "off"
)

// longest is the most characters a text may have.
const longest = 500

// Definition describes a declared setting.
type Definition struct {
	Name     string
	Kind     string // KindInt, KindBool or KindText
	Default  string
	Min, Max int // of an int

	parse func(value string) (any, error) // int, bool or string; the error says what is wrong, for people
}

// definitions are the declared settings by name. They are complete before main
// begins and only read from then on.
var definitions = map[string]Definition{}

// declare adds a definition. Each fault here is one of the program's text.
func declare(d Definition) {
	if _, twice := definitions[d.Name]; twice {
		panic(fmt.Sprintf("setting %s is declared twice", d.Name))
	}
	if _, err := d.parse(d.Default); err != nil {
		panic(fmt.Sprintf("setting %s: its default %q %v", d.Name, d.Default, err))
	}
	definitions[d.Name] = d
}

// All are the declared settings, sorted by name.
func All() []Definition {
	return slices.SortedFunc(maps.Values(definitions), func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
}

// AboutKey is the key of the text that tells operators what the setting is for.
func AboutKey(name string) string {
	return "setting." + strings.ReplaceAll(name, ".", "_") + ".about"
}

// Check lists the keys of explanations that declared settings lack, each with
// its language.
func Check(texts bot.Texts) []string {
	var missing []string
	for _, d := range All() {
		key := AboutKey(d.Name)
		for _, lang := range []string{bot.Vietnamese, bot.English} {
			if about := texts.Text(lang, key, nil); about == key || about == "" {
				missing = append(missing, lang+": "+key)
			}
		}
	}
	return missing
}

// IntSetting is a number between bounds.
type IntSetting struct {
	name string
	def  int
}

// Int declares a number that may be min to max. Like Bool and Text it is called
// for package variables only, and panics when a name is declared twice or the
// default is not allowed.
func Int(name string, def, min, max int) IntSetting {
	declare(Definition{Name: name, Kind: KindInt, Default: strconv.Itoa(def), Min: min, Max: max, parse: func(value string) (any, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < min || n > max {
			return nil, fmt.Errorf("must be a whole number from %d to %d", min, max)
		}
		return n, nil
	}})
	return IntSetting{name, def}
}

// Of is the setting's value in v.
func (s IntSetting) Of(v Values) int { return of(v, s.name, s.def) }

// BoolSetting is something that is on or off.
type BoolSetting struct {
	name string
	def  bool
}

// Bool declares something that is on or off.
func Bool(name string, def bool) BoolSetting {
	declare(Definition{Name: name, Kind: KindBool, Default: write(def), parse: parseBool})
	return BoolSetting{name, def}
}

// Of is the setting's value in v.
func (s BoolSetting) Of(v Values) bool { return of(v, s.name, s.def) }

func parseBool(value string) (any, error) {
	switch strings.ToLower(value) {
	case on, "true", "yes", "1":
		return true, nil
	case off, "false", "no", "0":
		return false, nil
	}
	return nil, fmt.Errorf("must be %s or %s", on, off)
}

// TextSetting is a line of text.
type TextSetting struct {
	name string
	def  string
}

// Text declares a line of text. Where check is given, it says why a value is not
// allowed; it sees the default too.
func Text(name, def string, check func(string) error) TextSetting {
	declare(Definition{Name: name, Kind: KindText, Default: def, parse: func(value string) (any, error) {
		if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Errorf("must be plain text on one line")
		}
		if utf8.RuneCountInString(value) > longest {
			return nil, fmt.Errorf("must be no longer than %d characters", longest)
		}
		if check != nil {
			if err := check(value); err != nil {
				return nil, err
			}
		}
		return value, nil
	}})
	return TextSetting{name, def}
}

// Of is the setting's value in v.
func (s TextSetting) Of(v Values) string { return of(v, s.name, s.def) }

// Values is a snapshot of all settings; it never changes. The zero value gives
// every setting its default.
type Values struct {
	given map[string]any // int, bool or string by name
}

func of[T any](v Values, name string, def T) T {
	if given, ok := v.given[name].(T); ok {
		return given
	}
	return def
}

// Given is the value of the named setting as it is written, and whether it was
// set; a setting that was not has its default.
func (v Values) Given(name string) (value string, set bool) {
	if given, ok := v.given[name]; ok {
		return write(given), true
	}
	return definitions[name].Default, false
}

// write is how a value is stored and shown.
func write(value any) string {
	if b, ok := value.(bool); ok {
		if b {
			return on
		}
		return off
	}
	return fmt.Sprint(value)
}
