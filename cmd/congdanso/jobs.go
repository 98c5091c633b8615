package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/robfig/cron/v3"

	"congdanso/bot"
	"congdanso/bot/delivery"
	"congdanso/bot/inbox"
	"congdanso/bot/instance"
	"congdanso/integrations/mail"
	"congdanso/integrations/postgres"
	"congdanso/integrations/zalo"
)

// job is a piece of background work that runs on one instance at a time, again
// and again. Its arguments are its name: what there is to do stands in Postgres.
type job struct {
	Name string `json:"name" river:"unique"`
}

// Kind is River's key for the one kind of job there is.
func (job) Kind() string { return "upkeep" }

// jobWorker runs jobs by name.
type jobWorker struct {
	river.WorkerDefaults[job]
	work map[string]func(context.Context) error
}

func (w *jobWorker) Work(ctx context.Context, j *river.Job[job]) error {
	work := w.work[j.Args.Name]
	if work == nil {
		return river.JobCancel(fmt.Errorf("no job is called %q any more", j.Args.Name))
	}
	return work(ctx)
}

func (w *jobWorker) Timeout(*river.Job[job]) time.Duration { return 10 * time.Minute }

// jobs runs River until ctx ends.
func (p *parts) jobs(ctx context.Context) error {
	db, err := postgres.Open(ctx, p.app.cfg.DatabaseURL, postgres.MaxConns(4), postgres.Name("jobs"))
	if err != nil {
		return err
	}
	defer db.Close()
	client, err := p.jobClient(db)
	if err != nil {
		return err
	}
	// Jobs in hand end when their context does; River is stopped, not cut off.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := client.StopAndCancel(stop); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

func (p *parts) jobClient(db pool) (*river.Client[pgx.Tx], error) {
	nightly, err := cron.ParseStandard("30 2 * * *")
	if err != nil {
		return nil, fmt.Errorf("nightly schedule: %w", err)
	}
	w := &jobWorker{work: map[string]func(context.Context) error{
		"reconcile": p.reconcile,
		"callbacks": p.callbacks,
		"mail":      p.mailAlerts,
		"tidy":      p.tidy,
	}}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, w); err != nil {
		return nil, fmt.Errorf("add jobs: %w", err)
	}
	// A job that waits or runs is not asked for again; one that is done is.
	unique := river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
		rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}
	at := func(schedule river.PeriodicSchedule, name string, atStart bool) *river.PeriodicJob {
		return river.NewPeriodicJob(schedule, func() (river.JobArgs, *river.InsertOpts) {
			return job{Name: name}, &river.InsertOpts{MaxAttempts: 3, UniqueOpts: unique}
		}, &river.PeriodicJobOpts{RunOnStart: atStart, ID: name})
	}
	client, err := river.NewClient(riverpgxv5.New(db), &river.Config{
		// Looking is enough: a notification would make commits wait for each other.
		PollOnly:          true,
		FetchPollInterval: time.Second,
		Logger:            slog.Default(),
		// Rebuilding indexes is the owner's right, and autovacuum's care is enough.
		ReindexerIndexNames: []string{},
		Queues:              map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		Workers:             workers,
		PeriodicJobs: []*river.PeriodicJob{
			at(river.PeriodicInterval(15*time.Second), "reconcile", true),
			at(river.PeriodicInterval(15*time.Second), "callbacks", true),
			at(river.PeriodicInterval(30*time.Second), "mail", true),
			at(nightly, "tidy", true),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make jobs: %w", err)
	}
	return client, nil
}

// reconcile feeds what Zalo could not deliver during an outage.
func (p *parts) reconcile(ctx context.Context) error {
	if p.self.Moved() {
		return nil // what was answered is not known before `congdanso resume`
	}
	rc := &inbox.Reconciler{
		Inbox: p.inbox, Chats: chats{p.zalo}, AppID: p.app.cfg.ZaloAppID, OAID: p.app.cfg.ZaloOAID, Now: p.app.now,
		Slot: func(ctx context.Context) error { return p.limiter.Take(ctx, delivery.Upkeep) },
	}
	fed, err := rc.Run(ctx)
	if fed > 0 {
		p.raise("alert.outage", "Fed", fed)
	}
	return err
}

// callbacks keeps the promises to answer when the procedure system is back.
func (p *parts) callbacks(ctx context.Context) error {
	_, err := p.dossiers.RunDue(ctx, p.app.now().UTC(), p.inbox)
	return err
}

func (p *parts) mailAlerts(ctx context.Context) error {
	if p.app.cfg.SMTPURL == "" {
		return nil
	}
	sender, err := mail.New(p.app.cfg.SMTPURL, p.app.cfg.AlertMail)
	if err != nil {
		return err
	}
	return p.alerts.Mail(ctx, sender, p.app.texts, bot.Vietnamese)
}

// tidy makes partitions ahead, and lets go what has been kept long enough.
func (p *parts) tidy(ctx context.Context) error {
	now := p.app.now().UTC()
	if err := p.inbox.Tidy(ctx, now); err != nil {
		return err
	}
	if err := p.outbox.Tidy(ctx, now); err != nil {
		return err
	}
	if _, err := p.dossiers.Store().Purge(ctx, now); err != nil {
		return err
	}
	return instance.Forget(ctx, p.pool)
}

// gauges keeps the figures that are read from Postgres rather than counted.
func (p *parts) gauges(ctx context.Context) error {
	inboxAge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "congdanso_inbox_oldest_seconds", Help: "Age of the oldest event not yet turned."})
	tokenAge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "congdanso_zalo_token_age_seconds", Help: "Age of the access token; it is renewed at about 20 hours."})
	moved := prometheus.NewGauge(prometheus.GaugeOpts{Name: "congdanso_sending_stopped", Help: "1 while nothing is sent: SEND_PAUSED, or the database is not the recorded one."})
	p.app.reg.MustRegister(inboxAge, tokenAge, moved)
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		if age, err := p.inbox.Oldest(ctx); err == nil {
			inboxAge.Set(age.Seconds())
		}
		tokenAge.Set(p.tokens.TokenAge().Seconds())
		stopped := 0.0
		if p.self.Moved() || p.app.cfg.SendPaused {
			stopped = 1
		}
		moved.Set(stopped)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// chats hands Zalo's chats to the reconciling job in the inbox's words.
type chats struct{ zalo *zalo.Client }

func (c chats) RecentChats(ctx context.Context, offset, count int) ([]inbox.ChatMessage, error) {
	list, err := c.zalo.RecentChats(ctx, offset, count)
	return asChats(list), err
}

func (c chats) Conversation(ctx context.Context, user string, offset, count int) ([]inbox.ChatMessage, error) {
	list, err := c.zalo.Conversation(ctx, user, offset, count)
	return asChats(list), err
}

func asChats(list []zalo.ChatMessage) []inbox.ChatMessage {
	messages := make([]inbox.ChatMessage, len(list))
	for i, m := range list {
		messages[i] = inbox.ChatMessage{User: m.UserID, FromUser: m.FromUser, At: m.At, Type: m.Type, Text: m.Text, MsgID: m.ID, URL: m.URL}
	}
	return messages
}
