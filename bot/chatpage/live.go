package chatpage

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"congdanso/integrations/zalo/zalosim"
)

// gather is how long the live connection collects changes before it sends them: a
// turn changes several things within a few milliseconds.
const gather = 30 * time.Millisecond

// heartbeat keeps the connection known to be alive.
const heartbeat = 15 * time.Second

// piece is a part of the page that changes on its own. The live connection sends
// those whose version the browser does not have yet, rendered.
type piece struct {
	ID      string `json:"id"`              // of the element
	List    string `json:"list,omitempty"`  // id of the list it is an item of
	After   string `json:"after,omitempty"` // id of the item before it; empty: it comes first
	Version string `json:"v"`
	HTML    string `json:"html"`

	template string
	data     any
}

// live sends what changes, as server-sent events: first everything, which the
// browser compares with what it has (so nothing is lost between the page and this
// connection, or while reconnecting), then each change.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	user, ok := p.user(w, r)
	if !ok {
		return
	}
	updates, cancel := p.sim.Subscribe()
	defer cancel()
	stream := http.NewResponseController(w)
	if err := stream.SetWriteDeadline(time.Time{}); err != nil {
		slog.DebugContext(r.Context(), "chat page: keep the server's write deadline", "error", err)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")

	words, sent := p.words(r), map[string]string{}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		p.look(user.ID)
		if err := p.sendChanges(w, p.view(words, user, r.Host), sent); err != nil {
			return // the browser has gone
		}
		if err := stream.Flush(); err != nil {
			return
		}
		select {
		case <-updates:
			if !collect(r, updates, gather) {
				return
			}
		case <-beat.C:
		case <-p.closed:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// collect swallows updates for a while; false when the browser went meanwhile.
func collect(r *http.Request, updates <-chan zalosim.Update, d time.Duration) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		select {
		case <-updates:
		case <-end.C:
			return true
		case <-r.Context().Done():
			return false
		}
	}
}

// sendChanges writes the pieces of v that are not in sent, and "ready" after
// them, which doubles as the heartbeat.
func (p *Page) sendChanges(w io.Writer, v *view, sent map[string]string) error {
	for _, c := range v.pieces() {
		if sent[c.ID] == c.Version {
			continue
		}
		html, err := p.render(c.template, c.data)
		if err != nil {
			slog.Error("render chat page", "error", err)
			return err
		}
		c.HTML = html
		data, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode piece: %w", err)
		}
		if _, err := fmt.Fprintf(w, "event: piece\ndata: %s\n\n", data); err != nil {
			return fmt.Errorf("send piece: %w", err)
		}
		sent[c.ID] = c.Version
	}
	if _, err := io.WriteString(w, "event: ready\ndata:\n\n"); err != nil {
		return fmt.Errorf("send heartbeat: %w", err)
	}
	return nil
}

// pieces are the parts of the page that change. Messages and log entries never do
// once they are there; only the ticks beside a message do.
func (v *view) pieces() []piece {
	var all []piece
	add := func(list, after, id, version, template string, data any) {
		all = append(all, piece{ID: id, List: list, After: after, Version: version, template: template, data: data})
	}
	add("", "", "others", strconv.Itoa(v.Others), "others", v)
	add("", "", "head", strconv.FormatBool(v.Citizen.Follows), "head", v)
	after := ""
	for _, b := range v.Bubbles {
		add("messages", after, b.Element, "1", "message", b)
		add("", "", "t-"+b.Element, b.Tick, "tick", b)
		after = b.Element
	}
	after = ""
	for _, c := range v.Citizens {
		id := "citizen-" + c.ID
		add("citizens", after, id, strconv.Itoa(c.Unread)+c.Name, "citizen", c)
		after = id
	}
	for list, entries := range map[string][]entry{"events": v.Webhooks, "calls": v.Calls} {
		after = ""
		for _, e := range entries {
			add(list, after, e.Element, "1", "entry", e)
			after = e.Element
		}
	}
	return all
}
