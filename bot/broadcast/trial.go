package broadcast

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/staff"
)

// kindTrial is the kind of a notice that shows staff their own broadcast.
const kindTrial = "broadcast.trial"

// Trial sends a broadcast as it stands to the actor's own phone, in each language
// it is written in, so that they see what people will. It says of itself that it
// is a trial, goes as a notice to them alone, and counts towards nothing.
func (s *Store) Trial(ctx context.Context, actor staff.Actor, id int64, now time.Time) error {
	me, err := s.Staff.Person(ctx, actor.ID)
	if err != nil {
		return told("trial", err)
	}
	if me.Zalo.IsZero() {
		return refuse("no_zalo")
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		b, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.permit(ctx, tx, rule{roles: both}, actor, b.Agency); err != nil {
			return err
		}
		if len(b.Body.Vi.Lines) == 0 {
			return refuse("nothing_written")
		}
		short, err := s.shortLinks(ctx, tx, id, b.Body, now)
		if err != nil {
			return err
		}
		ready := Compile(s.Texts, b.Definition, short)
		var notices []push.Told
		for _, lang := range []string{bot.Vietnamese, bot.English} {
			if ready.by[lang] == nil {
				continue
			}
			m := ready.Preview(lang, "")
			m.Text = s.Texts.Text(lang, "broadcast.trial", nil) + "\n\n" + m.Text
			notices = append(notices, push.Told{
				To: me.Zalo, Kind: kindTrial, Class: push.Notice,
				Key:     fmt.Sprintf("%s:%d:%s:%d", kindTrial, id, lang, now.Unix()),
				Content: push.Content{Message: m},
			})
		}
		if err := s.Push.Add(ctx, tx, notices, now); err != nil {
			return err
		}
		return s.audit(ctx, tx, actor, "trial", id, b.Agency, nil)
	})
	return told("trial", err)
}
