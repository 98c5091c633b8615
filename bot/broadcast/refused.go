package broadcast

import (
	"errors"
	"maps"
	"strings"

	"congdanso/bot"
)

// Errors that callers decide on.
var (
	ErrNotFound = errors.New("there is no such broadcast")
	// ErrStale: somebody changed it since the caller looked at it.
	ErrStale = errors.New("somebody changed the broadcast meanwhile")
)

// Refused is why an act was not carried out, in words a person can act on.
type Refused struct {
	Why    string // the key below broadcast.refused of the sentence that says it
	Data   map[string]any
	Faults []Fault // what is wrong with a body, where that is why
}

func refuse(why string, pairs ...any) *Refused { return &Refused{Why: why, Data: bot.Pairs(pairs...)} }

// Error names the reason for logs; Text says it to people.
func (r *Refused) Error() string { return "refused: " + r.Why }

// Text is the sentence that says why.
func (r *Refused) Text(texts bot.Texts, lang string) string {
	data := maps.Clone(r.Data)
	if state, ok := data["State"].(State); ok {
		data["State"] = texts.Text(lang, "broadcast.state."+string(state), nil)
	}
	lines := []string{texts.Text(lang, "broadcast.refused."+r.Why, data)}
	for _, f := range r.Faults {
		if !f.Warning {
			lines = append(lines, "- "+f.Words(texts, lang))
		}
	}
	return strings.Join(lines, "\n")
}
