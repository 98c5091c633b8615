package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/integrations/postgres"
)

const (
	// exampleAfter is how long after the first resident's first message the example
	// broadcast goes out: time to read the greeting.
	exampleAfter = 25 * time.Second
	// exampleAgency is the one agency that dev knows.
	exampleAgency = "tinh"
)

// showBroadcast has one scheduled example run in front of the newcomer's eyes, once
// in the life of a development database: as soon as somebody has written in the chat
// page, sample staff write it, two others approve it, and it is scheduled. It is an
// urgent one, so that it goes at any hour.
func (d *dev) showBroadcast(ctx context.Context, a *app) error {
	db, err := postgres.Open(ctx, d.cfg.DatabaseURL, postgres.MaxConns(2), postgres.Name("example"))
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var somebody bool
		if err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM citizen)`).Scan(&somebody); err == nil && somebody {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	keys, err := seal.Load(ctx, db, d.cfg.dataKey, d.cfg.dataKeyOld)
	if err != nil {
		return err
	}
	accounts := staff.NewStore(db, keys, a.now)
	store := broadcast.NewStore(broadcast.Options{
		Pool: db, Keys: keys, Push: push.NewStore(db, keys), Staff: accounts, Texts: a.texts, Units: a.units,
		Values: func() setting.Values { return setting.Values{} }, PublicURL: d.cfg.PublicURL,
		Alarm: func(key string, _ ...any) { slog.Warn("example broadcast", "alarm", key) },
	})
	if have, err := store.List(ctx, d.cfg.ZaloOAID, 0, 1); err != nil || len(have) > 0 {
		return err
	}
	writer, approvers, err := exampleStaff(ctx, accounts, a.texts)
	if err != nil {
		return err
	}
	return writeExample(ctx, store, d.cfg.ZaloOAID, a.texts, writer, approvers, a.now().UTC())
}

// exampleStaff are sample people: one who writes and two who approve.
func exampleStaff(ctx context.Context, accounts *staff.Store, texts bot.Texts) (writer staff.Actor, approvers []staff.Actor, err error) {
	by := staff.Operator("dev")
	say := func(key string) string { return texts.Text(bot.Vietnamese, "dev.staff."+key, nil) }
	top := staff.Agency{ID: exampleAgency, NameVi: say("agency"), NameEn: texts.Text(bot.English, "dev.staff.agency", nil), Level: "province"}
	account := func(key string) staff.Account {
		return staff.Account{Name: say(key), Mail: key + "@example.vn", Agency: exampleAgency}
	}
	admin, err := accounts.Bootstrap(ctx, by, top, account("administrator"))
	if errors.Is(err, staff.ErrAdministered) {
		var p staff.Person
		p, err = accounts.ByMail(ctx, "administrator@example.vn")
		admin = p.ID
	}
	if err != nil {
		return writer, nil, fmt.Errorf("make a sample administrator: %w", err)
	}
	for _, one := range []struct {
		key  string
		role staff.Role
	}{{"editor", staff.Editor}, {"approver", staff.Approver}, {"second_approver", staff.Approver}} {
		id, err := accounts.Add(ctx, staff.Actor{ID: admin}, account(one.key))
		if err == nil {
			err = accounts.Grant(ctx, staff.Actor{ID: admin}, by, id, one.role, exampleAgency)
		}
		if err != nil {
			return writer, nil, fmt.Errorf("make a sample %s: %w", one.role, err)
		}
		if one.role == staff.Editor {
			writer = staff.Actor{ID: id}
		} else {
			approvers = append(approvers, staff.Actor{ID: id})
		}
	}
	return writer, approvers, nil
}

// writeExample takes the example through its life: written, submitted, approved.
func writeExample(ctx context.Context, store *broadcast.Store, oa string, texts bot.Texts, writer staff.Actor, approvers []staff.Actor, now time.Time) error {
	text := func(lang string) broadcast.Text {
		say := func(key string) string { return texts.Text(lang, "dev.broadcast."+key, nil) }
		return broadcast.Text{Issuer: say("issuer"), Title: say("title"), Lines: []string{say("first"), say("then"), say("sample")}}
	}
	say := func(key string) string { return texts.Text(bot.Vietnamese, "dev.broadcast."+key, nil) }
	id, err := store.Create(ctx, writer, oa, broadcast.Definition{
		Title: say("title"), Kind: broadcast.Personal, Purpose: broadcast.PurposeDisaster, LegalBasis: say("basis"), Agency: exampleAgency,
		Urgent: true,
		Body: broadcast.Body{
			Vi: text(bot.Vietnamese), En: text(bot.English),
			Source:  broadcast.Source{Number: say("document"), Date: now.AddDate(0, 0, -1)},
			Contact: say("contact"),
			Buttons: []broadcast.Button{{Vi: say("button"), En: texts.Text(bot.English, "dev.broadcast.button", nil), Payload: bot.Payload("notices", "show", "")}},
		},
		Schedule:     broadcast.Schedule{At: now.Add(exampleAfter), LatestStart: time.Hour},
		ExpiresAfter: 6 * time.Hour,
	}, now)
	if err != nil {
		return fmt.Errorf("write the example broadcast: %w", err)
	}
	b, err := store.Get(ctx, id)
	if err != nil {
		return err
	}
	if err := store.Submit(ctx, writer, id, b.Version, now); err != nil {
		return fmt.Errorf("submit the example broadcast: %w", err)
	}
	for _, who := range approvers {
		if b, err = store.Get(ctx, id); err != nil {
			return err
		}
		plan, err := store.Plan(ctx, b, now, 2000)
		if err != nil {
			return fmt.Errorf("plan the example broadcast: %w", err)
		}
		seen := broadcast.Seen{Hash: plan.Hash, Recipients: plan.Recipients, Cost: plan.Cost, Basis: true}
		if err := store.Approve(ctx, who, id, seen, now); err != nil {
			return fmt.Errorf("approve the example broadcast: %w", err)
		}
	}
	return nil
}
