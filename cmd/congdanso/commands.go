package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/citizen"
	"congdanso/bot/delivery"
	"congdanso/bot/dossier"
	"congdanso/bot/inbox"
	"congdanso/bot/instance"
	"congdanso/bot/notice"
	"congdanso/bot/push"
	"congdanso/bot/runtime"
	"congdanso/bot/seal"
	"congdanso/bot/staff"
	"congdanso/bot/understand"
	"congdanso/content"
	"congdanso/integrations/postgres"
)

// settings reads and validates the whole configuration from the environment.
func (p *program) settings() (Config, error) {
	c, err := readConfig(p.vars)
	if err != nil {
		return c, err
	}
	if err := c.validate(); err != nil {
		return c, err
	}
	return c, c.setLogs()
}

func cmdServe(ctx context.Context, p *program, args []string) error {
	set := flag.NewFlagSet("serve", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	list := set.String("roles", "all", "web,worker,jobs")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	roles, err := parseRoles(*list)
	if err != nil {
		return err
	}
	cfg, err := p.settings()
	if err != nil {
		return err
	}
	p.tuneMemory()
	a, err := newApp(cfg, roles)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// tuneMemory lets a small heap grow before it is collected: what lives long is
// some 20 MiB, and collecting at twice that over and over costs a tenth of the
// processor. GOGC and GOMEMLIMIT win where an operator sets them.
func (p *program) tuneMemory() {
	if p.vars["GOGC"] == "" {
		debug.SetGCPercent(400)
	}
	if p.vars["GOMEMLIMIT"] == "" {
		debug.SetMemoryLimit(112 << 20)
	}
}

func cmdMigrate(ctx context.Context, p *program, _ []string) error {
	owner := p.vars["DATABASE_OWNER_URL"]
	if owner == "" {
		owner = p.vars["DATABASE_URL"]
	}
	if owner == "" {
		return settingsError([]string{"DATABASE_OWNER_URL (or DATABASE_URL) is not set"})
	}
	if err := postgres.Migrate(ctx, owner, postgres.GrantTo(p.vars["DATABASE_URL"])); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, "The schema is up to date.")
	return nil
}

func cmdUnderstand(_ context.Context, p *program, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: congdanso understand FILE.csv (columns text, intent)", errUsage)
	}
	under, err := understand.New(content.Files(p.vars["CONTENT_DIR"]))
	if err != nil {
		return err
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	return understand.Report(p.stdout, f, under)
}

// unlock opens the database for a command that has to read what is sealed in it.
func (p *program) unlock(ctx context.Context, name string) (Config, pool, *seal.Keyring, error) {
	cfg, err := p.settings()
	if err != nil {
		return cfg, nil, nil, err
	}
	db, err := postgres.Open(ctx, cfg.DatabaseURL, postgres.Name(name))
	if err != nil {
		return cfg, nil, nil, err
	}
	keys, err := seal.Load(ctx, db, cfg.dataKey, cfg.dataKeyOld)
	if err != nil {
		db.Close()
		return cfg, nil, nil, err
	}
	return cfg, db, keys, nil
}

// cmdResume lets sending go on after a failover or a restore.
func cmdResume(ctx context.Context, p *program, args []string) error {
	set := flag.NewFlagSet("resume", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	erased := set.String("erased", "", "log FILE whose citizen_erased lines are applied again (- for standard input)")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	_, pool, keys, err := p.unlock(ctx, "resume")
	if err != nil {
		return err
	}
	defer pool.Close()
	out := delivery.New(delivery.Options{Instance: "resume"}, pool, keys, nil, nil)
	if *erased != "" {
		in := p.stdin
		if *erased != "-" {
			f, err := os.Open(*erased)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		citizens := citizen.NewStore(pool, keys)
		n, err := eraseAgain(ctx, in, citizens, func(ctx context.Context, tx pgx.Tx, who bot.CitizenID, at time.Time) error {
			for _, e := range append(erasers(pool, keys, inbox.New(pool, keys, func([]bot.CitizenID) {}), out), runtime.Conversations(keys)) {
				if err := e.EraseCitizen(ctx, tx, who); err != nil {
					return err
				}
			}
			return citizens.EraseCitizen(ctx, tx, who, at)
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Erasures applied again: %d.\n", n)
	}
	unknown, err := out.MarkAllUnknown(ctx)
	if err != nil {
		return err
	}
	if err := push.NewStore(pool, keys).AfterRestore(ctx, time.Now().UTC()); err != nil {
		return err
	}
	accounts := staff.NewStore(pool, keys, time.Now)
	paused, err := broadcast.NewStore(broadcast.Options{Pool: pool, Keys: keys, Staff: accounts}).AfterRestore(ctx, time.Now().UTC())
	if err != nil {
		return err
	}
	aside, err := out.SetAside(ctx, time.Now().Add(-staleAfterRestore))
	if err != nil {
		return err
	}
	server, err := readServer(ctx, pool)
	if err != nil {
		return err
	}
	if err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { return instance.Record(ctx, tx, server) }); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "Messages whose fate is unknown: %d. Old messages set aside: %d. Broadcasts paused: %d.\nSending goes on within %d seconds, unless SEND_PAUSED is set.\n",
		unknown, aside, paused, 10)
	return nil
}

// staleAfterRestore is the age from which a restored outbox row is not sent any
// more: who waited for it has long asked again, or has had it.
const staleAfterRestore = 30 * time.Minute

// erasers are the features that keep something of citizens. Pushes come before the
// outbox, which knows what of them is in the air.
func erasers(pool pool, keys *seal.Keyring, in *inbox.Inbox, out *delivery.Outbox) []runtime.Eraser {
	return []runtime.Eraser{
		in,
		push.NewStore(pool, keys),
		out,
		dossier.NewStore(pool, keys),
		notice.NewStore(pool),
		broadcast.NewStore(broadcast.Options{Pool: pool, Keys: keys}),
		staff.NewStore(pool, keys, time.Now),
	}
}

// eraseAgain applies the citizen_erased lines of a log to a restored database,
// which may know people again who were erased since its backup was made.
func eraseAgain(ctx context.Context, in io.Reader, citizens *citizen.Store,
	erase func(context.Context, pgx.Tx, bot.CitizenID, time.Time) error) (n int, err error) {
	wanted := map[string]time.Time{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Msg     string    `json:"msg"`
			Citizen string    `json:"citizen"`
			At      time.Time `json:"at"`
		}
		if json.Unmarshal(lines.Bytes(), &l) != nil || l.Msg != "citizen_erased" {
			continue // a log holds many other lines
		}
		hash, err := hex.DecodeString(l.Citizen)
		if err != nil {
			return 0, fmt.Errorf("citizen_erased line with a malformed hash: %w", err)
		}
		if l.At.After(wanted[string(hash)]) {
			wanted[string(hash)] = l.At
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	return citizens.EraseAgain(ctx, wanted, erase)
}

func cmdDeadLetters(ctx context.Context, p *program, args []string) error {
	set := flag.NewFlagSet("dead-letters", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	retry := set.Int64("retry", 0, "put the dead letter with this ID back into the inbox")
	most := set.Int("most", 50, "how many to list")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	cfg, pool, keys, err := p.unlock(ctx, "dead-letters")
	if err != nil {
		return err
	}
	defer pool.Close()
	in := inbox.New(pool, keys, func([]bot.CitizenID) {})
	if *retry != 0 {
		if err := in.Retry(ctx, *retry, time.Now().UTC()); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "Dead letter %d is turned again within a second.\n", *retry)
		return nil
	}
	list, err := in.DeadLetters(ctx, *most)
	if err != nil {
		return err
	}
	for _, d := range list {
		note := ""
		if d.Retried {
			note = " (retried)"
		} else if !d.Someone {
			note = " (cannot be retried: nobody could be made out)"
		}
		fmt.Fprintf(p.stdout, "%d\t%s\t%s%s\n", d.ID, d.DiedAt.In(cfg.tz).Format("2006-01-02 15:04:05"), d.Cause, note)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.stdout, "There are no dead letters.")
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// readServer identifies the database server in the words of package instance.
func readServer(ctx context.Context, db pool) (instance.Server, error) {
	id, err := postgres.ReadIdentity(ctx, db)
	if err != nil {
		return instance.Server{}, err
	}
	return instance.Server{SystemID: id.System, Timeline: id.Timeline}, nil
}

var errCheck = errors.New("there is something to mend")
