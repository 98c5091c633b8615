// Package way builds what the dialogues share: choices out of content, the ways
// on that stand under most messages, and the version of a consent's text.
//
// A button is one line of content, "title | longer label | word, word": what
// stands on the button, what stands in the text's list, and further ways of
// saying it. The last two may be left out.
package way

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"congdanso/bot"
)

// Channel is the name under which consents given in the chat are recorded.
const Channel = "zalo_oa_chat"

// To makes the choice that button, a key of content, describes.
func To(t *bot.Turn, button, payload string) bot.Choice {
	return Parse(t.T(button), payload)
}

// Parse makes a choice of a button's line.
func Parse(line, payload string) bot.Choice {
	parts := strings.SplitN(line, "|", 3)
	c := bot.Choice{Title: strings.TrimSpace(parts[0]), Payload: payload}
	if len(parts) > 1 {
		c.Label = strings.TrimSpace(parts[1])
	}
	if len(parts) > 2 {
		for _, w := range strings.Split(parts[2], ",") {
			if w = strings.TrimSpace(w); w != "" {
				c.Words = append(c.Words, w)
			}
		}
	}
	return c
}

// Home is the way back to the menu, choice number 0.
func Home(t *bot.Turn) bot.Choice {
	return Zero(To(t, "way.button.home", bot.Payload("menu", "show", "")))
}

// Zero makes c choice number 0. It goes last.
func Zero(c bot.Choice) bot.Choice {
	c.Zero = true
	return c
}

// Lookup leads to looking up a dossier.
func Lookup(t *bot.Turn) bot.Choice {
	return To(t, "way.button.lookup", bot.Payload("dossier", "ask", ""))
}

// Another leads to looking up another dossier.
func Another(t *bot.Turn) bot.Choice {
	return To(t, "way.button.another", bot.Payload("dossier", "ask", ""))
}

// Mine leads to the dossiers the citizen keeps.
func Mine(t *bot.Turn) bot.Choice {
	return To(t, "way.button.mine", bot.Payload("dossier", "mine", ""))
}

// Notices leads to what the channel tells by itself.
func Notices(t *bot.Turn) bot.Choice {
	return To(t, "way.button.notices", bot.Payload("notices", "show", ""))
}

// Human leads to a person.
func Human(t *bot.Turn) bot.Choice {
	return To(t, "way.button.human", bot.Payload("human", "ask", ""))
}

// Office leads to how an office is found.
func Office(t *bot.Turn) bot.Choice {
	return To(t, "way.button.office", bot.Payload("elsewhere", "where", ""))
}

// Signed puts whose channel this is under text, for somebody who reads it for the
// first time.
func Signed(t *bot.Turn, text string) string {
	if !t.Citizen.New || t.Unasked {
		return text
	}
	return text + "\n\n" + t.T("way.whose")
}

// Consent finds the text that asks for consent, and its version: the text's key,
// the language, and a hash over the words shown, so that a changed text can
// never pass for the one agreed to. The text must not depend on the person.
func Consent(t *bot.Turn, key string) (text, version string) {
	text = t.T(key)
	sum := sha256.Sum256([]byte(text))
	return text, key + "/" + t.Citizen.Language + "/" + hex.EncodeToString(sum[:6])
}
