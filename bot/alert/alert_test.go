package alert_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/alert"
	"congdanso/content"
	"congdanso/integrations/postgres/pgtest"
)

type mailbox struct {
	mails []string
	fail  bool
}

func (m *mailbox) Send(_ context.Context, subject, body string) error {
	if m.fail {
		return errors.New("server away")
	}
	m.mails = append(m.mails, subject+"\n"+body)
	return nil
}

func TestAlertsOfAKindGoOutAsOneMail(t *testing.T) {
	pool := pgtest.New(t)
	s := alert.NewStore(pool, false)
	texts, err := content.Load(content.Files(""), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for range 5 {
			if err := s.Alert(t.Context(), tx, []bot.Alert{{Key: "alert.person"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Raise(t.Context(), bot.Alert{Key: "alert.closed", Data: map[string]any{"Code": "H42.16-240612-0001"}}); err != nil {
		t.Fatal(err)
	}
	box := &mailbox{fail: true}
	if err := s.Mail(t.Context(), box, texts, bot.Vietnamese); err == nil {
		t.Fatal("a mail that was not sent is no error")
	}
	box.fail = false
	for range 2 { // the second time nothing is left
		if err := s.Mail(t.Context(), box, texts, bot.Vietnamese); err != nil {
			t.Fatal(err)
		}
	}
	if len(box.mails) != 2 {
		t.Fatalf("%d mails, want one a kind: %q", len(box.mails), box.mails)
	}
	if !strings.Contains(box.mails[0], "5") || !strings.Contains(fmt.Sprint(box.mails), "H42.16-240612-0001") {
		t.Errorf("mails = %q", box.mails)
	}
}
