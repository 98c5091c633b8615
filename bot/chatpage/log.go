package chatpage

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"congdanso/integrations/zalo/zalosim"
)

// shownLog is how many entries of each log a page shows, the newest first.
const shownLog = 100

// entry is one line of a log: a webhook tried, or a call answered.
type entry struct {
	words
	Element  string
	Clock    string
	What     string
	Who      string
	Status   string
	Mood     string // good, bad, open
	Request  string
	Response string // empty for webhooks
	Mine     bool   // it is about the citizen shown
	Minor    bool   // an echo or a receipt: three of them follow every message
}

func (v *view) webhookLog(hooks []zalosim.WebhookLog, names map[string]string) []entry {
	var entries []entry
	seen := map[string]int{}
	for i := len(hooks) - 1; i >= 0 && len(entries) < shownLog; i-- {
		entries = append(entries, v.webhook(hooks[i], names, seen))
	}
	return entries
}

func (v *view) callLog(calls []zalosim.APICall, names map[string]string) []entry {
	var entries []entry
	seen := map[string]int{}
	for i := len(calls) - 1; i >= 0 && len(entries) < shownLog; i-- {
		entries = append(entries, v.call(calls[i], names, seen))
	}
	return entries
}

func (v *view) webhook(h zalosim.WebhookLog, names map[string]string, seen map[string]int) entry {
	e := entry{words: v.words, Clock: h.At.In(vietnam).Format("15:04:05"), What: h.Event, Who: who(names, h.User),
		Status: strconv.Itoa(h.Status), Mood: "bad", Request: pretty(h.Body), Mine: h.User == v.Citizen.ID,
		Minor: strings.HasPrefix(h.Event, "oa_send_") || h.Event == "user_received_message" || h.Event == "user_seen_message"}
	if h.Try > 0 {
		e.Who = strings.TrimPrefix(e.Who+" · "+v.T("log.tries", "N", h.Try+1), " · ")
	}
	switch {
	case h.Status == http.StatusOK:
		e.Mood = "good"
	case h.Status == 0:
		e.Status = v.T("log.unanswered")
		if h.Err != "" {
			e.Response = h.Err
		}
	}
	e.Element = element("w", seen, h.At.String(), h.Event, h.Body, strconv.Itoa(h.Try))
	return e
}

func (v *view) call(c zalosim.APICall, names map[string]string, seen map[string]int) entry {
	e := entry{words: v.words, Clock: c.At.In(vietnam).Format("15:04:05"), What: c.Method + " " + c.Path, Who: who(names, c.User),
		Status: strconv.Itoa(c.Status), Mood: "bad", Request: pretty(c.Request), Response: pretty(c.Response), Mine: c.User == v.Citizen.ID}
	var answer struct {
		Error json.Number `json:"error"`
	}
	switch err := json.Unmarshal([]byte(c.Response), &answer); {
	case c.Status == 0:
		e.Status = v.T("log.unanswered")
	case err == nil && answer.Error != "" && answer.Error != "0":
		e.Status = "error " + answer.Error.String() // Zalo's own word, in the answer below
	case c.Status == http.StatusOK:
		e.Mood = "good"
	}
	e.Element = element("c", seen, c.At.String(), c.Path, c.Request, c.Response)
	return e
}

func who(names map[string]string, user string) string {
	if name := names[user]; name != "" {
		return name
	}
	return user
}

// element names a log entry by what it says, for the logs give no ids. Twins get
// a number: seen counts them.
func element(kind string, seen map[string]int, parts ...string) string {
	id := fmt.Sprintf("%s-%x", kind, sum(strings.Join(parts, "\x00")))
	seen[id]++
	if n := seen[id]; n > 1 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

func sum(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}
