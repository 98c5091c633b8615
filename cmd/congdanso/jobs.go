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

// jobWorker runs jobs by name, each on one instance at a time.
type jobWorker struct {
	river.WorkerDefaults[job]
	db   pool
	work map[string]func(context.Context) error
}

func (w *jobWorker) Work(ctx context.Context, j *river.Job[job]) error {
	work := w.work[j.Args.Name]
	if work == nil {
		return river.JobCancel(fmt.Errorf("no job is called %q any more", j.Args.Name))
	}
	return w.alone(ctx, j.Args.Name, work)
}

// jobLocks keeps the locks of jobs apart from other advisory locks.
const jobLocks = 0x6a6f6273 // "jobs"

// alone does work unless it is under way somewhere. The lock goes with its
// connection: when an instance is killed in the middle, the next run goes on at
// once, whatever River still believes to be running.
func (w *jobWorker) alone(ctx context.Context, name string, work func(context.Context) error) error {
	conn, err := w.db.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("lock job %s: %w", name, err)
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, hashtext($2))`, int32(jobLocks), name).Scan(&mine); err != nil {
		return fmt.Errorf("lock job %s: %w", name, err)
	}
	if !mine {
		return nil
	}
	defer func() {
		unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, err := conn.Exec(unlock, `SELECT pg_advisory_unlock($1, hashtext($2))`, int32(jobLocks), name); err != nil {
			conn.Conn().Close(unlock) // and the lock with it
		}
	}()
	return work(ctx)
}

// Timeout bounds a job. Reading back what an outage swallowed goes at the pace of
// the lowest class: a few hundred chats take the better part of an hour.
func (w *jobWorker) Timeout(j *river.Job[job]) time.Duration {
	if j.Args.Name == "reconcile" {
		return 12 * time.Hour
	}
	return 10 * time.Minute
}

// jobs runs River until ctx ends.
func (p *parts) jobs(ctx context.Context) error {
	db, err := postgres.Open(ctx, p.app.cfg.DatabaseURL, postgres.MaxConns(8), postgres.Name("jobs"))
	if err != nil {
		return err
	}
	defer db.Close()
	client, err := p.startJobs(ctx, db)
	if err != nil || client == nil {
		return err
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := client.StopAndCancel(stop); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

// startJobs starts River, as soon as Postgres lets it; no client means that ctx has
// ended before.
func (p *parts) startJobs(ctx context.Context, db pool) (*river.Client[pgx.Tx], error) {
	for waits := false; ; waits = true {
		client, err := p.jobClient(db)
		if err != nil {
			return nil, err
		}
		// Jobs in hand end when their context does; River is stopped, not cut off.
		if err = client.Start(context.WithoutCancel(ctx)); err == nil {
			return client, nil
		}
		if !waits {
			slog.Warn("jobs wait until Postgres is back", "error", err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (p *parts) jobClient(db pool) (*river.Client[pgx.Tx], error) {
	nightly, err := cron.ParseStandard("CRON_TZ=" + p.app.cfg.TZName + " 30 2 * * *")
	if err != nil {
		return nil, fmt.Errorf("nightly schedule: %w", err)
	}
	w := &jobWorker{db: db, work: map[string]func(context.Context) error{
		"reconcile": p.reconcile,
		"callbacks": p.callbacks,
		"mail":      p.mailAlerts,
		"tidy":      p.tidy,

		"changes":    p.changes,
		"broadcasts": p.launchBroadcasts,
		"receipts":   p.countReceipts,
		"unknown":    p.lookForUnknown,
		"templates":  p.checkTemplates,
	}}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, w); err != nil {
		return nil, fmt.Errorf("add jobs: %w", err)
	}
	// A job that waits is not asked for again, nor one that runs within its
	// interval; see alone for what runs longer.
	at := func(schedule river.PeriodicSchedule, every time.Duration, name string) *river.PeriodicJob {
		unique := river.UniqueOpts{ByArgs: true, ByPeriod: every, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}}
		return river.NewPeriodicJob(schedule, func() (river.JobArgs, *river.InsertOpts) {
			return job{Name: name}, &river.InsertOpts{MaxAttempts: 3, UniqueOpts: unique}
		}, &river.PeriodicJobOpts{RunOnStart: true, ID: name})
	}
	often := func(every time.Duration, name string) *river.PeriodicJob {
		return at(river.PeriodicInterval(every), every, name)
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
			often(15*time.Second, "reconcile"),
			often(15*time.Second, "callbacks"),
			often(30*time.Second, "mail"),
			often(5*time.Second, "changes"),
			often(5*time.Second, "broadcasts"),
			often(20*time.Second, "receipts"),
			often(time.Minute, "unknown"),
			often(10*time.Minute, "templates"),
			at(nightly, time.Hour, "tidy"),
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
	if err := p.pushes.Purge(ctx, now); err != nil {
		return err
	}
	if _, err := p.broadcasts.PurgeLists(ctx, now); err != nil {
		return err
	}
	if err := p.accounts.Tidy(ctx, now); err != nil {
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
