package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/delivery"
	"congdanso/bot/dossier"
	"congdanso/bot/push"
	"congdanso/integrations/procedures"
	"congdanso/integrations/zalo"
)

// pushing makes the parts by which the channel speaks of its own accord.
func (p *parts) pushing(source *procedures.Client) {
	a := p.app
	p.broadcasts = broadcast.NewStore(broadcast.Options{
		Pool: p.pool, Keys: p.keys, Push: p.pushes, Staff: p.accounts, Texts: a.texts, Units: a.units,
		Values: p.settings.Values, Cities: a.texts.Province().Zalo.Cities, PublicURL: a.cfg.PublicURL, Alarm: p.raise,
	})
	a.reg.MustRegister(broadcast.NewProgress(p.broadcasts, a.now))
	p.articles = &broadcast.Articles{Store: p.broadcasts, Zalo: articleAPI{p.zalo}, Slot: p.spareSlot}
	p.links = broadcast.NewLinks(p.pool, a.texts, a.now)
	p.feeder = push.NewFeeder(p.pushes, push.Options{
		Pool: p.pool, Outbox: p.outbox, Runs: p.broadcasts, Settings: p.settings.Values, Texts: a.texts,
		OA: a.cfg.ZaloOAID, Instance: p.self.ID, Now: a.now,
		Alarm: func(reason string) { p.raise("alert.notices." + reason) },
	})
	p.watch = dossier.NewWatch(dossier.WatchOptions{
		Service: p.dossiers, Changes: source, Notices: p.pushes, Texts: a.texts, Values: p.settings.Values,
	})
}

// spareSlot waits for a slot of the class that gives way to everything else.
func (p *parts) spareSlot(ctx context.Context) error { return p.limiter.Take(ctx, delivery.Upkeep) }

// changes looks for what changed among the dossiers people follow.
func (p *parts) changes(ctx context.Context) error {
	now := p.app.now().UTC()
	_, pollErr := p.watch.Poll(ctx, now)
	_, lookErr := p.watch.Look(ctx, now)
	p.pushes.Wake()
	return errors.Join(pollErr, lookErr)
}

// launchBroadcasts does what the moment asks of broadcasts and articles.
func (p *parts) launchBroadcasts(ctx context.Context) error {
	if p.self.Moved() || p.app.cfg.SendPaused {
		return nil // what went out in the time that was lost is not known
	}
	now := p.app.now().UTC()
	err := errors.Join(p.broadcasts.Tick(ctx, now), p.articles.Tick(ctx, now))
	p.pushes.Wake()
	return err
}

// countReceipts keeps the books of pushes short, and counts what was delivered and
// read.
func (p *parts) countReceipts(ctx context.Context) error {
	now := p.app.now().UTC()
	_, err := p.pushes.Sweep(ctx, now)
	return errors.Join(err, p.pushes.Receipts(ctx, now), p.pushes.Fold(ctx))
}

const (
	// lookBack is how far back a conversation is read for a push of unknown fate.
	lookBack = 48 * time.Hour
	// lookMost bounds how many conversations one run of the job reads.
	lookMost = 20
)

// lookForUnknown reads conversations, where Zalo still lists them, for pushes whose
// fate nobody knows: what is found there settles them as an echo does.
func (p *parts) lookForUnknown(ctx context.Context) error {
	now := p.app.now().UTC()
	list, err := delivery.UnknownPushes(ctx, p.pool, now.Add(-lookBack), lookMost)
	if err != nil {
		return fmt.Errorf("list pushes of unknown fate: %w", err)
	}
	for _, u := range list {
		if now.Sub(u.CalledAt) < 30*time.Second {
			continue // its echo may still come
		}
		if err := p.spareSlot(ctx); err != nil {
			return err
		}
		chat, err := p.zalo.Conversation(ctx, u.To.User, 0, 10)
		if err != nil {
			return fmt.Errorf("read a conversation: %w", err)
		}
		for _, m := range chat {
			if !m.FromUser && m.ID != "" {
				p.outbox.Note(bot.Event{Citizen: u.To, SignedAt: m.At, Body: bot.Sent{MsgID: m.ID, Kind: m.Type, Text: m.Text}})
			}
		}
	}
	return nil
}

// checkTemplates asks Zalo about the templates in use.
func (p *parts) checkTemplates(ctx context.Context) error {
	faults, err := p.pushes.CheckTemplates(ctx, p.app.cfg.ZaloOAID, p.settings.Values(), templateAPI{p.zalo}, p.app.now().UTC())
	for _, fault := range faults {
		slog.Warn("a template cannot be used", "error", fault)
	}
	return err
}

// templateAPI describes templates in the words of package push.
type templateAPI struct{ *zalo.Client }

func (t templateAPI) TemplateInfo(ctx context.Context, id string) (push.Template, error) {
	info, err := t.Client.TemplateInfo(ctx, id)
	if err != nil {
		return push.Template{}, err
	}
	out := push.Template{ID: info.ID, Status: info.Status, PriceUser: info.PriceUser, PricePhone: info.PricePhone}
	for _, p := range info.Params {
		out.Params = append(out.Params, push.Param{Name: p.Name, Required: p.Required, Min: p.MinLength, Max: p.MaxLength})
	}
	return out, nil
}
