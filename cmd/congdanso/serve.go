package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"congdanso/bot"
	"congdanso/bot/alert"
	"congdanso/bot/broadcast"
	"congdanso/bot/citizen"
	"congdanso/bot/delivery"
	"congdanso/bot/dossier"
	"congdanso/bot/inbox"
	"congdanso/bot/instance"
	"congdanso/bot/notice"
	"congdanso/bot/pages"
	"congdanso/bot/push"
	"congdanso/bot/runtime"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/bot/webhook"
	"congdanso/content"
	"congdanso/flows"
	"congdanso/integrations/postgres"
	"congdanso/integrations/procedures"
	"congdanso/integrations/redis"
	"congdanso/integrations/zalo"
)

type pool = *pgxpool.Pool

// parts are the long-lived things of a server whose database is there.
type parts struct {
	app      *app
	pool     pool
	claims   pool
	keys     *seal.Keyring
	redis    *redis.Redis
	limiter  delivery.Limiter
	self     *instance.Instance
	inbox    *inbox.Inbox
	outbox   *delivery.Outbox
	runtime  *runtime.Runtime
	tokens   *zalo.Tokens
	zalo     *zalo.Client
	dossiers *dossier.Service
	citizens *citizen.Store
	alerts   *alert.Store

	settings   *setting.Store
	accounts   *staff.Store
	topics     *notice.Store
	pushes     *push.Store
	feeder     *push.Feeder
	broadcasts *broadcast.Store
	articles   *broadcast.Articles
	links      *broadcast.Links
	watch      *dossier.Watch
}

// runWith runs everything that needs the database. Stopping goes stage by stage:
// the door closes, the events in hand are kept, turns end, delivery settles, and
// only then does the rest go.
func (a *app) runWith(ctx context.Context, pool, claims pool, keys *seal.Keyring, web <-chan error) error {
	p, err := a.build(ctx, pool, claims, keys)
	if err != nil {
		return err
	}
	defer p.redis.Close()
	// Nothing is sent before it is known which database this is.
	if err := p.self.Beat(ctx); err != nil {
		slog.Warn("heartbeat failed; nothing is sent until one succeeds", "error", err)
	}
	base, stopBase := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopBase(nil)

	upkeep := newStage(base)
	upkeep.run("instance", p.self.Run)
	upkeep.run("redis", p.redis.Run)
	upkeep.run("tokens", p.tokens.Run)
	upkeep.run("dossiers", p.dossiers.Run)
	upkeep.run("settings", p.settings.Run)
	upkeep.run("gauges", p.gauges)
	sending, turning, taking := newStage(base), newStage(base), newStage(base)
	// Notes of echoes and receipts are written by the outbox of every role.
	sending.run("delivery", func(ctx context.Context) error {
		if a.roles[roleWorker] {
			return p.outbox.Run(ctx)
		}
		return p.outbox.RunNotes(ctx)
	})
	if a.roles[roleWorker] {
		turning.run("runtime", p.runtime.Run)
		turning.run("pushes", p.withSettings(p.feeder.Run))
	}
	if a.roles[roleWeb] {
		taking.run("links", p.links.Run)
	}
	taking.run("inbox", p.inbox.Run)
	if a.roles[roleJobs] {
		turning.run("jobs", p.withSettings(p.jobs))
	}
	p.open()

	var failed error
	select {
	case <-ctx.Done():
	case err := <-web:
		failed = fmt.Errorf("http server: %w", err)
	case failed = <-firstError(upkeep, sending, turning, taking):
	}
	return a.stop(failed, taking, turning, sending, upkeep)
}

// withSettings puts off what goes by settings until they are known: by the defaults
// it would send what operators have switched off, or rest in hours that are no night.
func (p *parts) withSettings(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if p.settings.Known(ctx) != nil {
			return nil
		}
		return run(ctx)
	}
}

// stop ends the stages one after the other, all within stopWithin.
func (a *app) stop(failed error, stages ...*stage) error {
	slog.Info("stopping")
	notReady := func(context.Context) error { return errStopping }
	a.site.ready.Store(&notReady)
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	door, cancelDoor := context.WithTimeout(ctx, 5*time.Second)
	defer cancelDoor()
	if err := a.site.srv.Shutdown(door); err != nil {
		slog.Warn("requests were cut off", "error", err)
	}
	for _, s := range stages {
		if err := s.stop(ctx); err != nil && failed == nil {
			failed = err
		}
	}
	slog.Info("stopped")
	return failed
}

// build makes the parts. Nothing runs yet.
func (a *app) build(ctx context.Context, pool, claims pool, keys *seal.Keyring) (*parts, error) {
	p := &parts{app: a, pool: pool, claims: claims, keys: keys}
	cfg := a.cfg
	var err error
	if p.redis, err = redis.Open(cfg.RedisURL); err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	p.alerts = alert.NewStore(pool, cfg.SMTPURL == "")
	p.self = instance.New(pool, rolesText(a.roles), func(ctx context.Context, db *pgxpool.Pool) (instance.Server, error) {
		return readServer(ctx, db)
	}, func(moved bool) { p.outbox.Pause(moved || cfg.SendPaused) })
	a.self.Store(p.self)

	p.settings = setting.NewStore(pool)
	p.accounts = staff.NewStore(pool, keys, a.now)
	p.topics = notice.NewStore(pool)
	p.pushes = push.NewStore(pool, keys)
	p.tokens = zalo.NewTokens(pool, keys, zalo.TokenOptions{
		AppID: cfg.ZaloAppID, AppSecret: cfg.ZaloAppSecret, OAID: cfg.ZaloOAID,
		OAuthURL: cfg.ZaloOAuthURL, Seed: cfg.ZaloRefreshToken,
		OnDead: func(e *zalo.GrantError) { p.raise("alert.grant", "Code", e.Code, "Words", e.Name) },
		OnLost: func(time.Time) { p.raise("alert.grant_lost") },
	})
	limit := p.redis.Limiter(cfg.ZaloOAID, cfg.ZaloRatePerMinute, p.self.Alive)
	p.limiter = limit
	p.zalo, err = zalo.New(zalo.Options{
		APIURL: cfg.ZaloAPIURL, ZNSURL: cfg.ZaloZNSURL, OAID: cfg.ZaloOAID, Tokens: p.tokens,
		OnLimit: func(ceiling, _ int) { limit.SetCeiling(ceiling) }, OnThrottled: limit.Throttled,
	})
	if err != nil {
		return nil, err
	}
	p.outbox = delivery.New(delivery.Options{
		Instance: p.self.ID, Paused: true, // until the first heartbeat
		Ledger: p.pushes,
		Alarm: func(al delivery.Alarm) {
			if al.Kind != "human" { // nothing that Zalo said
				p.raise("alert." + al.Kind)
				return
			}
			p.raise("alert.delivery", "Kind", al.Kind, "Call", al.Call, "Code", al.Code, "Words", al.Words)
		},
	}, pool, keys, p.zalo, limit)

	breaker := prometheus.NewGauge(prometheus.GaugeOpts{Name: "congdanso_breaker_open", Help: "1 while the procedure system is not asked because it failed too often."})
	a.reg.MustRegister(breaker, p.outbox)
	province := a.texts.Province()
	source := procedures.New(procedures.Options{
		URL: cfg.ProceduresURL, TokenURL: cfg.ProceduresTokenURL,
		ClientID: cfg.ProceduresClientID, ClientSecret: cfg.ProceduresClientSecret,
		Statuses: province.Dossier.Statuses,
		OnBreaker: func(state string) {
			open := 0.0
			if state == "open" {
				open = 1
			}
			breaker.Set(open)
		},
	})
	p.dossiers = dossier.New(dossier.Options{
		Pool: pool, Ring: keys, Private: province.Dossier.PrivateProcedures, Cache: p.redis, Source: source,
	})
	p.citizens = citizen.NewStore(pool, keys)
	p.pushing(source)
	list := flows.All(flows.Deps{Content: a.texts, Dossiers: p.dossiers, Citizens: p.citizens,
		Pushes: push.Reader{Store: p.pushes, Runs: p.broadcasts}, Notices: p.topics, Units: a.units,
		Night: func() (int, int) { return push.NewSettings(p.settings.Values()).Night() },
		About: func(code string) string { return hex.EncodeToString(keys.Hash("dossier.about", code)) }})
	if err := refuseContent(content.Check(a.texts, list)); err != nil {
		return nil, err
	}
	router, err := runtime.NewRouter(a.under, list...)
	if err != nil {
		return nil, err
	}
	wake, wakeUp := runtime.Wakes()
	p.inbox = inbox.New(pool, keys, func(who []bot.CitizenID) {
		if a.roles[roleWorker] {
			wakeUp(who)
		} else {
			p.redis.Notify(wakeChannel, who)
		}
	})
	if a.roles[roleWorker] {
		p.redis.Listen(wakeChannel, wakeUp)
	}
	p.runtime = runtime.New(runtime.Config{
		Now: a.now, Decode: webhook.Decode, Router: router, Texts: a.texts,
		Features: map[string]runtime.Feature{"citizen": p.citizens, dossier.Feature: p.dossiers.Store(),
			push.Feature: p.pushes, notice.Feature: p.topics},
		Erasers: erasers(pool, keys, p.inbox, p.outbox),
		Alerter: p.alerts, Waiter: p.pushes,
	}, pool, claims, keys, p.inbox, p.citizens, p.outbox, wake, a.reg)
	return p, nil
}

// wakeChannel tells workers whose events wait, across instances.
const wakeChannel = "inbox"

// open lets deliveries and residents in.
func (p *parts) open() {
	a := p.app
	if a.roles[roleWeb] {
		door := webhook.New(webhook.Config{AppID: a.cfg.ZaloAppID, OAID: a.cfg.ZaloOAID,
			OASecret: a.cfg.ZaloWebhookSecret, AppSecret: a.cfg.ZaloAppSecret, Now: a.now}, p.inbox, p.outbox, a.reg)
		handle := echo.HandlerFunc(door.Handle)
		a.site.door.Store(&handle)
		if secret := a.cfg.ProceduresWebhookSecret; secret != "" {
			hook := echo.HandlerFunc(dossier.NewHook(p.dossiers.Store(), secret, a.now, a.reg).Handle)
			a.site.hook.Store(&hook)
		}
		link := echo.HandlerFunc(p.links.Handle)
		a.site.link.Store(&link)
	}
	ready := p.ready
	a.site.ready.Store(&ready)
	slog.Info("ready", "roles", rolesText(a.roles), "instance", p.self.ID)
	if a.onReady != nil {
		a.onReady()
	}
}

// publicPages adds the pages that need no database.
func (a *app) publicPages() error {
	pp, err := pages.New(a.texts, content.Files(a.cfg.ContentDir))
	if err != nil {
		return err
	}
	pp.Register(a.site.echo)
	return nil
}

// maxSkew is how far an instance's clock may be off Postgres's: moments that
// decide are compared across both.
const maxSkew = 100 * time.Millisecond

// ready is what /readyz asks: Postgres, schema and clock; never Redis, Zalo or
// the procedure system.
func (p *parts) ready(ctx context.Context) error {
	before := time.Now()
	var theirs time.Time
	if err := p.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	took := time.Since(before)
	if skew := theirs.Sub(before.Add(took / 2)); took < time.Second && (skew > maxSkew+took/2 || skew < -maxSkew-took/2) {
		return fmt.Errorf("clock: %v off Postgres's", skew.Round(time.Millisecond))
	}
	have, want, err := postgres.SchemaVersion(ctx, p.pool)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if have < want {
		return errSchema
	}
	return nil
}

func (p *parts) raise(key string, pairs ...any) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := p.alerts.Raise(ctx, bot.Alert{Key: key, Data: bot.Pairs(pairs...)}); err != nil {
			slog.Error("alert not stored", "alert", key, "error", err)
		}
	}()
}

func rolesText(roles map[string]bool) string {
	text := ""
	for _, r := range []string{roleWeb, roleWorker, roleJobs} {
		if roles[r] {
			if text != "" {
				text += ","
			}
			text += r
		}
	}
	return text
}
