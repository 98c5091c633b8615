package bot

import "strings"

// Message is what goes to a citizen, in channel-neutral form. Its text is
// complete: whoever reads only the text can do everything, because every choice
// can be typed (see Turn.Say, which writes the choices into it).
type Message struct {
	Text    string   `json:"text"`
	Choices []Choice `json:"choices,omitempty"`
	// AskContact, when set, makes this Zalo's form that asks for name and phone.
	// Such a message carries no choices.
	AskContact *ContactForm `json:"ask_contact,omitempty"`
	// ImageURL is a public picture shown with the text, if any.
	ImageURL string `json:"image_url,omitempty"`
	Kind     Kind   `json:"kind,omitempty"`
	// About narrows KindStatus: an older waiting status about the same thing may
	// give way to a newer one. It is a keyed hash or a public id, never a name.
	About string `json:"about,omitempty"`
}

// Kind says what may be done with a message when the reply queue grows: only a
// menu, a fallback or an older status about the same dossier may be dropped.
type Kind string

// The kinds of messages. The zero value is a message that is never dropped.
const (
	KindAnswer   Kind = ""
	KindMenu     Kind = "menu"
	KindFallback Kind = "fallback"
	KindStatus   Kind = "status"
)

// ContactForm is Zalo's form that asks for name and phone.
type ContactForm struct {
	Title    string `json:"title"`    // at most 100 characters
	Subtitle string `json:"subtitle"` // at most 500 characters
}

// Choice is one way on. It can be tapped, and typed by its number, its letter
// or its words, with or without accents.
type Choice struct {
	// Title stands on the button: at most MaxTitle characters, for a cheap phone
	// shows no more.
	Title string `json:"title"`
	// Label is the longer wording in the text's list; empty means Title.
	Label string `json:"label,omitempty"`
	// Payload is what choosing does: "#flow.action" or "#flow.action:argument".
	// Citizens can type payloads by hand, so they carry no authority.
	Payload string `json:"payload,omitempty"`
	// URL, instead of Payload, opens a page. Phone, instead of Payload, dials (84…).
	URL   string `json:"url,omitempty"`
	Phone string `json:"phone,omitempty"`
	// Words are further ways of saying this choice ("có", "đồng ý").
	Words []string `json:"words,omitempty"`
	// Zero makes it choice number 0, the way back; at most one, put last.
	Zero bool `json:"zero,omitempty"`
}

// Limits of what Zalo shows (facts: buttons). Titles may be longer at Zalo, but
// are cut on small phones.
const (
	MaxTitle   = 20
	MaxButtons = 5
	MaxText    = 2000
	MaxPayload = 1000
)

// Number is how the choice at index i of choices is typed and printed.
func Number(choices []Choice, i int) int {
	if choices[i].Zero {
		return 0
	}
	n := 1
	for _, c := range choices[:i] {
		if !c.Zero {
			n++
		}
	}
	return n
}

// Payload builds a payload for flow's action; arg may be empty.
func Payload(flow, action, arg string) string {
	p := "#" + flow + "." + action
	if arg != "" {
		p += ":" + arg
	}
	return p
}

// ParsePayload takes a payload apart. ok is false when text is none.
func ParsePayload(text string) (flow, action, arg string, ok bool) {
	rest, found := strings.CutPrefix(strings.TrimSpace(text), "#")
	if !found {
		return "", "", "", false
	}
	head, arg, _ := strings.Cut(rest, ":")
	flow, action, found = strings.Cut(head, ".")
	if !found || flow == "" || action == "" || strings.ContainsAny(head, " \n\t") {
		return "", "", "", false
	}
	return flow, action, arg, true
}
