package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"congdanso/bot/instance"
	"congdanso/bot/seal"
	"congdanso/bot/understand"
	"congdanso/bot/unit"
	"congdanso/content"
	"congdanso/integrations/postgres"
)

// stopWithin is how long a stop may take before the process gives up on what is
// still in hand: leases lapse, nothing is lost.
const stopWithin = 20 * time.Second

// app is the server: everything that one process runs.
type app struct {
	cfg   Config
	roles map[string]bool
	texts *content.Library
	under *understand.Understander
	units *unit.Units
	reg   *prometheus.Registry
	site  *site
	now   func() time.Time
	// onReady is called once residents can be answered.
	onReady func()
	self    atomic.Pointer[instance.Instance]
}

// Roles an instance can play.
const (
	roleWeb    = "web"    // door, pages
	roleWorker = "worker" // turns and delivery
	roleJobs   = "jobs"   // background work
)

func parseRoles(list string) (map[string]bool, error) {
	roles := map[string]bool{}
	for _, r := range strings.Split(list, ",") {
		r = strings.TrimSpace(r)
		switch r {
		case "all":
			roles[roleWeb], roles[roleWorker], roles[roleJobs] = true, true, true
		case roleWeb, roleWorker, roleJobs:
			roles[r] = true
		default:
			return nil, fmt.Errorf("%w: there is no role %q; there are web, worker, jobs (or all)", errUsage, r)
		}
	}
	return roles, nil
}

// newApp reads content and opens the listener. It needs no database.
func newApp(cfg Config, roles map[string]bool, opts ...content.Option) (*app, error) {
	texts, under, err := loadContent(cfg, opts...)
	if err != nil {
		return nil, err
	}
	units, err := unit.Load(content.Files(cfg.ContentDir))
	if err != nil {
		return nil, fmt.Errorf("load administrative units: %w", err)
	}
	a := &app{cfg: cfg, roles: roles, texts: texts, under: under, units: units, now: time.Now, reg: prometheus.NewRegistry()}
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.site, err = newSite(cfg.HTTPAddr, a.reg, roles[roleWeb], cfg.ProceduresWebhookSecret != ""); err != nil {
		return nil, fmt.Errorf("listen on HTTP_ADDR %s: %w", cfg.HTTPAddr, err)
	}
	if roles[roleWeb] {
		if err := a.publicPages(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// run serves until ctx ends, then stops in order: the door, the turns in hand,
// delivery, the rest.
func (a *app) run(ctx context.Context) error {
	web := make(chan error, 1)
	go func() { web <- a.site.serve() }()
	defer a.site.srv.Close()
	slog.Info("listening", "url", a.site.URL(), "version", version())

	pool, claims, err := a.openPools(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	defer claims.Close()
	keys, err := a.awaitDatabase(ctx, pool)
	if err != nil || keys == nil {
		return err
	}
	return a.runWith(ctx, pool, claims, keys, web)
}

func (a *app) openPools(ctx context.Context) (pool, claims *pgxpool.Pool, err error) {
	heard := postgres.OnConnect(func(id postgres.Identity) {
		if self := a.self.Load(); self != nil {
			self.Connected(instance.Server{SystemID: id.System, Timeline: id.Timeline})
		}
	})
	if pool, err = postgres.Open(ctx, a.cfg.DatabaseURL, heard, postgres.ByKey()); err != nil {
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	claims, err = postgres.Open(ctx, a.cfg.DatabaseURL, postgres.MaxConns(4), postgres.Name("claims"), postgres.ByKey(),
		func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["synchronous_commit"] = "off" })
	if err != nil {
		pool.Close()
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return pool, claims, nil
}

// errSchema: the database's schema is older than this program.
var errSchema = errors.New("the database's schema is older than this program: run `congdanso migrate` first")

// awaitDatabase waits until Postgres can be reached, refuses an older schema,
// and loads the keys. It returns no keys when ctx ends first.
func (a *app) awaitDatabase(ctx context.Context, pool *pgxpool.Pool) (*seal.Keyring, error) {
	warned := false
	for {
		keys, err := a.tryDatabase(ctx, pool)
		switch {
		case err == nil:
			return keys, nil
		case ctx.Err() != nil:
			return nil, nil
		case errors.Is(err, errSchema), errors.Is(err, seal.ErrWrongKey):
			return nil, err
		case !warned:
			slog.Warn("waiting for Postgres; deliveries are answered 503 meanwhile", "error", err)
			warned = true
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func (a *app) tryDatabase(ctx context.Context, pool *pgxpool.Pool) (*seal.Keyring, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	have, want, err := postgres.SchemaVersion(ctx, pool)
	if err != nil {
		return nil, err
	}
	if have < want {
		return nil, fmt.Errorf("%w (it has %d, this needs %d)", errSchema, have, want)
	}
	return seal.Load(ctx, pool, a.cfg.dataKey, a.cfg.dataKeyOld)
}

// loadContent reads texts and lexicon and refuses what must not go out.
func loadContent(cfg Config, opts ...content.Option) (*content.Library, *understand.Understander, error) {
	files := content.Files(cfg.ContentDir)
	texts, err := content.Load(files, cfg.tz, append([]content.Option{content.WithPublicURL(cfg.PublicURL)}, opts...)...)
	if err != nil {
		return nil, nil, fmt.Errorf("load content: %w", err)
	}
	under, err := understand.New(files)
	if err != nil {
		return nil, nil, fmt.Errorf("load lexicon: %w", err)
	}
	return texts, under, nil
}
