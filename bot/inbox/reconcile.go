package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"congdanso/bot"
)

// ChatMessage is a message as Zalo's conversation history tells it.
type ChatMessage struct {
	User     string // whose chat
	FromUser bool   // else from the account
	At       time.Time
	Type     string // Zalo's word: text, voice, photo, GIF, link, links, sticker, location
	Text     string
	MsgID    string
	URL      string
}

// Chats reads chats back from Zalo, newest message first, ten at most a call.
type Chats interface {
	RecentChats(ctx context.Context, offset, count int) ([]ChatMessage, error)
	Conversation(ctx context.Context, user string, offset, count int) ([]ChatMessage, error)
}

// Reconciler feeds the inbox what Zalo could not deliver during an outage of
// ours: Zalo keeps no events for us, but it keeps the chats.
type Reconciler struct {
	Inbox *Inbox
	Chats Chats
	AppID string
	OAID  string
	Now   func() time.Time
	// Slot waits for a place under the rate limit, in the lowest class.
	Slot func(ctx context.Context) error
}

const (
	// page is the most Zalo gives a call.
	page = 10
	// slack is read beyond the outage's beginning, for events that were under way.
	slack = 10 * time.Second
	// deepest bounds the chats and the messages of one chat that are looked at.
	deepest = 10_000
)

// Run reconciles when deliveries were refused or nobody was there to take them.
// It does nothing otherwise. It reports how many events it fed.
func (rc *Reconciler) Run(ctx context.Context) (fed int, err error) {
	if err := rc.Inbox.WriteRefused(ctx); err != nil {
		return 0, err
	}
	var since *time.Time
	var restored bool
	err = rc.Inbox.pool.QueryRow(ctx, `
SELECT refused_since, coalesce(resumed_at > refused_since, false) FROM installation`).Scan(&since, &restored)
	if err != nil {
		return 0, fmt.Errorf("read the outage's beginning: %w", err)
	}
	if since == nil {
		return 0, nil
	}
	fed, err = rc.since(ctx, since.Add(-slack), restored)
	if err != nil {
		return fed, fmt.Errorf("reconcile: %w", err)
	}
	// A refusal noted meanwhile stays.
	_, err = rc.Inbox.pool.Exec(ctx, `
UPDATE installation SET refused_since = NULL, reconciled_at = now() WHERE refused_since = $1`, *since)
	if err != nil {
		return fed, fmt.Errorf("note that the outage is reconciled: %w", err)
	}
	slog.Info("reconciled with Zalo's chats", "since", *since, "fed", fed)
	return fed, nil
}

// since reads the chats back to an outage's beginning. Whoever writes meanwhile, or
// is answered, moves to the front of the list, perhaps before they were read: so
// the front is looked at again until nobody new stands there.
func (rc *Reconciler) since(ctx context.Context, since time.Time, restored bool) (fed int, err error) {
	read := map[string]bool{}
	for from := since; ; {
		began, known := rc.Now().UTC(), len(read)
		err := rc.chats(ctx, from, func(user string) error {
			if read[user] {
				return nil
			}
			n, err := rc.chat(ctx, user, since, restored)
			fed += n
			read[user] = err == nil
			return err
		})
		if err != nil || len(read) == known {
			return fed, err
		}
		from = began.Add(-slack)
	}
}

// chats calls do for everybody whose chat's newest message is not older than from.
func (rc *Reconciler) chats(ctx context.Context, from time.Time, do func(user string) error) error {
	for offset := 0; offset < deepest; offset += page {
		if err := rc.Slot(ctx); err != nil {
			return err
		}
		chats, err := rc.Chats.RecentChats(ctx, offset, page)
		if err != nil {
			return err
		}
		for _, newest := range chats {
			if newest.At.Before(from) {
				return nil
			}
			if err := do(newest.User); err != nil {
				return err
			}
		}
		if len(chats) < page {
			return nil
		}
	}
	return nil
}

// chat feeds what one citizen wrote since then. After a restore our own memory of
// what was answered is gone too: there, what the account wrote later in the chat
// counts as the answer.
func (rc *Reconciler) chat(ctx context.Context, user string, since time.Time, restored bool) (fed int, err error) {
	var missed []ChatMessage
	answered := false
	for offset := 0; offset < deepest; offset += page {
		if err := rc.Slot(ctx); err != nil {
			return 0, err
		}
		messages, err := rc.Chats.Conversation(ctx, user, offset, page)
		if err != nil {
			return 0, err
		}
		older := len(messages) < page
		for _, m := range messages {
			if m.At.Before(since) {
				older = true
			} else if !m.FromUser {
				answered = true // messages come newest first
			} else if m.MsgID != "" && !(restored && answered) {
				m.User = user
				missed = append(missed, m)
			}
		}
		if older {
			break
		}
	}
	if missed, err = rc.unknown(ctx, missed); err != nil {
		return 0, err
	}
	for _, m := range slices.Backward(missed) { // the oldest first, as they were written
		ev, raw, err := rc.event(m)
		if err != nil {
			return fed, err
		}
		if err := rc.Inbox.Accept(ctx, ev, raw); err != nil {
			return fed, err
		}
		fed++
	}
	return fed, nil
}

// unknown leaves those that neither wait nor were turned.
func (rc *Reconciler) unknown(ctx context.Context, messages []ChatMessage) ([]ChatMessage, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(messages))
	for i, m := range messages {
		keys[i] = rc.Inbox.Key("user_send:" + m.MsgID)
	}
	rows, err := rc.Inbox.pool.Query(ctx, `
SELECT k FROM unnest($1::bytea[]) AS w (k)
WHERE EXISTS (SELECT 1 FROM turned_event t WHERE t.key = k)
   OR EXISTS (SELECT 1 FROM inbox i WHERE i.oa_id = $2 AND i.citizen = $3 AND i.key = k)
   OR EXISTS (SELECT 1 FROM dead_letter d WHERE d.oa_id = $2 AND d.citizen = $3 AND d.key = k)`,
		keys, rc.OAID, messages[0].User)
	if err != nil {
		return nil, fmt.Errorf("look for known events: %w", err)
	}
	defer rows.Close()
	known := map[string]bool{}
	for rows.Next() {
		var k []byte
		if err := rows.Scan(&k); err != nil {
			return nil, fmt.Errorf("look for known events: %w", err)
		}
		known[string(k)] = true
	}
	var left []ChatMessage
	for i, m := range messages {
		if !known[string(keys[i])] {
			left = append(left, m)
		}
	}
	return left, rows.Err()
}

// eventNames maps the conversation's types to the webhook's event names and
// attachment types.
var eventNames = map[string][2]string{
	"text": {"user_send_text", ""}, "photo": {"user_send_image", "image"}, "GIF": {"user_send_gif", "gif"},
	"link": {"user_send_link", "link"}, "links": {"user_send_link", "link"}, "voice": {"user_send_audio", "audio"},
	"sticker": {"user_send_sticker", "sticker"}, "location": {"user_send_location", "location"},
}

// event writes a message of the history as the webhook would have delivered it,
// so that from here on there is one path.
func (rc *Reconciler) event(m ChatMessage) (bot.Event, []byte, error) {
	name, ok := eventNames[m.Type]
	if !ok {
		name = [2]string{"user_send_file", "file"}
	}
	message := map[string]any{"msg_id": m.MsgID}
	if m.Text != "" {
		message["text"] = m.Text
	}
	if name[1] != "" {
		message["attachments"] = []any{map[string]any{"type": name[1], "payload": map[string]any{"url": m.URL}}}
	}
	raw, err := json.Marshal(map[string]any{
		"app_id": rc.AppID, "event_name": name[0], "message": message,
		"sender": map[string]any{"id": m.User}, "recipient": map[string]any{"id": rc.OAID},
		"timestamp": strconv.FormatInt(m.At.UnixMilli(), 10),
	})
	if err != nil {
		return bot.Event{}, nil, fmt.Errorf("write missed event: %w", err)
	}
	now := rc.Now().UTC()
	ev := bot.Event{ID: "user_send:" + m.MsgID, Name: name[0], Citizen: bot.CitizenID{OA: rc.OAID, User: m.User},
		SignedAt: m.At.UTC(), AcceptedAt: now}
	if ev.SignedAt.After(now) {
		ev.SignedAt = now
	}
	return ev, raw, nil
}
