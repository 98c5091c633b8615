// Package postgres is everything this project knows of the database server
// itself: connection pools, transactions, migrations, which server it is talking
// to (see Identity), and the private cluster that `congdanso dev` and the tests
// run on (see Cluster).
//
// It owns no table but the migration history. Features keep their own SQL and
// get a pool or a transaction from here. Every connection speaks UTC; times are
// scanned in UTC, whatever zone the machine is in.
package postgres

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is what a single query needs: a pool, a connection or a transaction.
type DB interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const (
	defaultMaxConns         = 16
	defaultStatementTimeout = 30 * time.Second
	connectTimeout          = 3 * time.Second
)

// Option changes a pool from its defaults.
type Option func(*pgxpool.Config)

// MaxConns limits the pool's connections. The default is 16: a turn holds a
// connection for about a millisecond, so that this many serve thousands of turns
// a second, and a handful of instances stay below Postgres's usual 100. A
// pool_max_conns in the URL wins over the default, MaxConns over both.
func MaxConns(n int32) Option {
	return func(c *pgxpool.Config) { c.MaxConns = n }
}

// Name sets what pg_stat_activity shows beside "congdanso", e.g. the role of an
// instance.
func Name(name string) Option {
	return func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["application_name"] = "congdanso " + name
	}
}

// StatementTimeout ends any statement that runs longer; zero means never. The
// default is 30 s: no statement on the way of an event takes a hundredth of
// that, and work on whole tables goes in slices.
func StatementTimeout(d time.Duration) Option {
	return func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["statement_timeout"] = milliseconds(d)
	}
}

// ByKey is for the pools on the way of an event, whose statements all look rows up
// by key for a handful of citizens. The queues fill and empty within seconds, so
// that the planner's figures about them are always wrong, and a plan made while a
// table was empty reads all of it later. These settings leave the planner one
// choice, the index, and let each statement be planned once a connection.
//
// Their transactions take milliseconds. One whose process stands still gives its
// locks back after five seconds, before its leases end, so that whoever takes over
// its work does not wait for it.
func ByKey() Option {
	return func(c *pgxpool.Config) {
		for name, value := range map[string]string{
			"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off",
			"enable_hashjoin": "off", "enable_mergejoin": "off",
			"idle_in_transaction_session_timeout": milliseconds(5 * time.Second),
		} {
			c.ConnConfig.RuntimeParams[name] = value
		}
	}
}

// OnConnect calls fn with the server's identity on every new connection, before
// anything else uses it: after a failover nothing is done on the new server that
// fn has not heard of. fn must be quick and safe for concurrent use.
func OnConnect(fn func(Identity)) Option {
	return func(c *pgxpool.Config) {
		first := c.AfterConnect
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			if err := first(ctx, conn); err != nil {
				return err
			}
			id, err := ReadIdentity(ctx, conn)
			if err != nil {
				return err
			}
			fn(id)
			return nil
		}
	}
}

// Open makes a pool for url, a postgres:// URL or a key=value string. It does not
// connect: a server that is away shows as an error of the first query, and the
// pool recovers by itself when it is back. The only error is a malformed url.
// A server that takes no writes (a standby, or one still recovering) counts as
// away, so that a promotion always shows as a new connection.
//
// Settings given in url (statement_timeout, application_name, pool_max_conns,
// target_session_attrs, …) win over the defaults here, options over both.
func Open(ctx context.Context, url string, opts ...Option) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	for _, opt := range opts {
		opt(cfg)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("make connection pool: %w", err)
	}
	return pool, nil
}

func poolConfig(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx hides the password in what it says of the URL.
		return nil, fmt.Errorf("read database URL: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = defaultMaxConns
	}
	cfg.MaxConnLifetime = time.Hour
	cfg.MaxConnLifetimeJitter = 10 * time.Minute
	cfg.MaxConnIdleTime = 10 * time.Minute
	cfg.HealthCheckPeriod = 15 * time.Second
	if !strings.Contains(url, "connect_timeout") {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	params := cfg.ConnConfig.RuntimeParams
	params["timezone"] = "UTC"
	for name, value := range map[string]string{
		"application_name":  "congdanso",
		"statement_timeout": milliseconds(defaultStatementTimeout),
		// A transaction left open holds back vacuum on the queues.
		"idle_in_transaction_session_timeout": milliseconds(30 * time.Second),
		// Compiling a plan costs more than any of our queries.
		"jit": "off",
	} {
		if _, given := params[name]; !given {
			params[name] = value
		}
	}
	// A server that vanished without a word is noticed within half a minute.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	cfg.ConnConfig.DialFunc = dialer.DialContext
	if cfg.ConnConfig.ValidateConnect == nil {
		cfg.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	cfg.AfterConnect = scanUTC
	return cfg, nil
}

// scanUTC makes timestamptz values come back in UTC instead of the machine's zone.
func scanUTC(_ context.Context, conn *pgx.Conn) error {
	types := conn.TypeMap()
	stamp := &pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	}
	types.RegisterType(stamp)
	types.RegisterType(&pgtype.Type{
		Name: "_timestamptz", OID: pgtype.TimestamptzArrayOID,
		Codec: &pgtype.ArrayCodec{ElementType: stamp},
	})
	return nil
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(d.Milliseconds(), 10)
}

// InTx runs fn in a transaction of READ COMMITTED: committed when fn returns nil,
// else rolled back. An error of the commit itself leaves open whether the server
// committed; callers that retry must be safe to repeat.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, pool, fn)
}
