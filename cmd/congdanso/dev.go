package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joho/godotenv"
	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"congdanso/bot"
	"congdanso/bot/chatpage"
	"congdanso/content"
	"congdanso/integrations/postgres"
	"congdanso/integrations/procedures/proceduresim"
	"congdanso/integrations/zalo/zalosim"
)

// devFolder holds what dev keeps: the database, its data key, and where it runs.
const devFolder = "var"

// running is what dev leaves for `congdanso chat` to find it by.
type running struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

func runningFile() string { return filepath.Join(devFolder, "dev.json") }

// dev is everything on one machine, with stand-ins for what is outside.
type dev struct {
	p       *program
	out     io.Writer
	cfg     Config
	cluster *postgres.Cluster
	zalo    *zalosim.Sim      // nil when a real Zalo is set
	proc    *proceduresim.Sim // nil when a real procedure system is set
	group   *errgroup.Group
	ready   func(url string)
}

func cmdDev(ctx context.Context, p *program, args []string) error {
	set := flag.NewFlagSet("dev", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	live := set.Bool("live", false, "allow a Zalo that is not on this machine and a database that dev did not make")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return runDev(ctx, p, *live, p.stdout, func(string) {})
}

// runDev starts everything and runs until ctx ends. ready is told the address
// once residents can be answered.
func runDev(ctx context.Context, p *program, live bool, out io.Writer, ready func(url string)) error {
	vars, err := withDotEnv(p.vars)
	if err != nil {
		return err
	}
	d := &dev{p: p, out: out, ready: ready}
	if vars["HTTP_ADDR"] == "" {
		vars["HTTP_ADDR"] = "127.0.0.1:8080"
	}
	if vars["LOG_FORMAT"] == "" {
		vars["LOG_FORMAT"] = "text"
	}
	if vars["LOG_LEVEL"] == "" {
		vars["LOG_LEVEL"] = "warn"
	}
	if err := refuseOutside(vars, live); err != nil {
		return err
	}
	if err := os.MkdirAll(devFolder, 0o755); err != nil {
		return fmt.Errorf("make folder for dev: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	d.group = g
	g.Go(func() error {
		if err := d.run(ctx, vars); err != nil {
			return err
		}
		return errDevEnded // the rest ends with it
	})
	err = g.Wait()
	if errors.Is(err, errDevEnded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

var errDevEnded = errors.New("dev has ended")

// withDotEnv adds the settings of a .env file; the environment wins.
func withDotEnv(vars map[string]string) (map[string]string, error) {
	file, err := godotenv.Read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read .env: %w", err)
	}
	if file == nil {
		file = map[string]string{}
	}
	maps.Copy(file, vars)
	return file, nil
}

// refuseOutside keeps a development run from reaching real people or a database
// it did not make.
func refuseOutside(vars map[string]string, live bool) error {
	if live {
		return nil
	}
	for _, name := range []string{"ZALO_API_URL", "ZALO_OAUTH_URL", "ZALO_ZNS_URL"} {
		if v := vars[name]; v != "" && !loopback(v) {
			return fmt.Errorf("%s is not on this machine: dev would write to real people; say --live if that is meant", name)
		}
	}
	for _, name := range []string{"DATABASE_URL", "DATABASE_OWNER_URL"} {
		if vars[name] != "" {
			return fmt.Errorf("%s is a database that dev did not make; say --live if that is meant", name)
		}
	}
	return nil
}

// nearby is how a browser on this machine reaches addr, where that listens on all
// of its addresses too.
func nearby(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (d *dev) run(ctx context.Context, vars map[string]string) error {
	if vars["DATABASE_URL"] == "" {
		if err := d.startPostgres(ctx, vars); err != nil {
			return err
		}
		defer func() {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
			defer cancel()
			if err := d.cluster.Stop(stop); err != nil {
				fmt.Fprintln(d.p.stderr, "congdanso: stop Postgres:", err)
			}
		}()
	}
	if vars["DATA_KEY"] == "" {
		key, err := devKey()
		if err != nil {
			return err
		}
		vars["DATA_KEY"] = key
	}
	if vars["PUBLIC_URL"] == "" {
		vars["PUBLIC_URL"] = nearby(vars["HTTP_ADDR"])
	}
	if vars["ZALO_API_URL"] == "" {
		if err := d.startZalo(ctx, vars); err != nil {
			return err
		}
	}
	if vars["PROCEDURES_URL"] == "" {
		if err := d.startProcedures(ctx, vars); err != nil {
			return err
		}
	}
	var err error
	if d.cfg, err = readConfig(vars); err != nil {
		return err
	}
	if err := d.cfg.validate(); err != nil {
		return err
	}
	if err := d.cfg.setLogs(); err != nil {
		return err
	}
	owner := d.cfg.DatabaseOwnerURL
	if owner == "" {
		owner = d.cfg.DatabaseURL
	}
	if err := postgres.Migrate(ctx, owner); err != nil {
		return err
	}
	a, err := newApp(d.cfg, map[string]bool{roleWeb: true, roleWorker: true, roleJobs: true}, content.WithSample())
	if err != nil {
		return err
	}
	base := a.site.URL()
	if d.proc != nil {
		d.proc.PushTo(base+"/webhooks/procedures", d.cfg.ProceduresWebhookSecret)
		d.group.Go(func() error { return d.proc.Run(ctx) })
	}
	if d.zalo != nil {
		d.zalo.SetWebhookURL(base + "/webhooks/zalo")
		page := d.chatPage(a)
		defer page.Close()
		a.site.srv.RegisterOnShutdown(page.Close)
		a.site.echo.Any("/chat", echo.WrapHandler(page))
		a.site.echo.Any("/chat/*", echo.WrapHandler(page))
		a.site.echo.POST("/dev/say", terminalSay(d.zalo))
		a.site.echo.GET("/dev/messages", terminalMessages(d.zalo))
	}
	if err := writeJSON(runningFile(), running{URL: base, PID: os.Getpid()}); err != nil {
		return err
	}
	defer os.Remove(runningFile())
	a.onReady = func() {
		d.say(base)
		d.ready(base)
		if d.zalo != nil {
			d.group.Go(func() error {
				if err := d.showBroadcast(ctx, a); err != nil && ctx.Err() == nil {
					slog.Warn("no example broadcast", "error", err)
				}
				return nil
			})
		}
	}
	err = a.run(ctx)
	if d.zalo != nil {
		err = errors.Join(err, d.saveChats())
	}
	return err
}

func (d *dev) say(base string) {
	fmt.Fprintf(d.out, "\ncongdanso %s is running.\n\n", version())
	if d.zalo != nil {
		fmt.Fprintf(d.out, "  Chat page    %s/chat\n", base)
	}
	fmt.Fprintf(d.out, "  Public page  %s/\n  Health       %s/readyz\n  Metrics      %s/metrics\n", base, base, base)
	if d.cluster != nil {
		fmt.Fprintf(d.out, "  Database     %s\n", d.cluster.URL(""))
	}
	fmt.Fprintln(d.out, "\nIn another terminal: congdanso chat. Ctrl-C stops everything; data stays.")
}

func (d *dev) startPostgres(ctx context.Context, vars map[string]string) error {
	folder, err := filepath.Abs(filepath.Join(devFolder, "postgres"))
	if err != nil {
		return err
	}
	d.cluster, err = postgres.Start(ctx, postgres.Options{Dir: folder, BinDir: vars["PG_BIN_DIR"], Fsync: true, Log: d.out})
	if err != nil {
		return fmt.Errorf("start a private Postgres: %w", err)
	}
	vars["DATABASE_URL"] = d.cluster.URL("")
	return nil
}

// devKey is the data key of the development database; it is made once and kept
// beside it, so that data survives a restart.
func devKey() (string, error) {
	file := filepath.Join(devFolder, "data.key")
	raw, err := os.ReadFile(file)
	if err == nil {
		return strings.TrimSpace(string(raw)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the development data key: %w", err)
	}
	key := make([]byte, 32)
	rand.Read(key)
	encoded := encodeKey(key)
	if err := os.WriteFile(file, []byte(encoded+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the development data key: %w", err)
	}
	return encoded, nil
}

// serveLocal serves handler on a free port of this machine until ctx ends.
func (d *dev) serveLocal(ctx context.Context, handler http.Handler) (base string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for a stand-in: %w", err)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	d.group.Go(func() error {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	context.AfterFunc(ctx, func() { srv.Close() })
	return "http://" + ln.Addr().String(), nil
}

func (d *dev) startZalo(ctx context.Context, vars map[string]string) error {
	d.zalo = zalosim.New(zalosim.Options{SeenByHand: true, LoopbackLinks: true})
	base, err := d.serveLocal(ctx, d.zalo)
	if err != nil {
		return err
	}
	if err := d.loadChats(); err != nil {
		return err
	}
	d.group.Go(func() error { return d.zalo.Run(ctx) })
	for name, value := range map[string]string{
		"ZALO_API_URL": base, "ZALO_OAUTH_URL": base, "ZALO_ZNS_URL": base,
		"ZALO_APP_ID": zalosim.ExampleAppID, "ZALO_APP_SECRET": zalosim.ExampleAppSecret,
		"ZALO_OA_ID": zalosim.ExampleOAID, "ZALO_WEBHOOK_SECRET": zalosim.ExampleOASecret,
		"ZALO_REFRESH_TOKEN": d.zalo.RefreshToken(),
	} {
		vars[name] = value
	}
	if vars["ZALO_RATE_PER_MINUTE"] == "" {
		// The embedded stand-in allows what the largest package does.
		vars["ZALO_RATE_PER_MINUTE"] = strconv.Itoa(2000)
	}
	return nil
}

func chatsFile() string { return filepath.Join(devFolder, "chats.json") }

// loadChats lets the stand-in remember who wrote what before the last stop, so
// that Zalo's windows stay open over a restart.
func (d *dev) loadChats() error {
	f, err := os.Open(chatsFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the chats of the last run: %w", err)
	}
	defer f.Close()
	if err := d.zalo.Load(f); err != nil {
		return fmt.Errorf("read the chats of the last run (remove %s to start without them): %w", chatsFile(), err)
	}
	return nil
}

func (d *dev) saveChats() error {
	var chats bytes.Buffer
	if err := d.zalo.Save(&chats); err != nil {
		return fmt.Errorf("keep the chats: %w", err)
	}
	if err := os.WriteFile(chatsFile(), chats.Bytes(), 0o600); err != nil {
		return fmt.Errorf("keep the chats: %w", err)
	}
	return nil
}

// The stand-in for the procedure system lets these in.
const standInClient, standInSecret = "congdanso-dev", "congdanso-dev-secret"

func (d *dev) startProcedures(ctx context.Context, vars map[string]string) error {
	d.proc = proceduresim.New(proceduresim.Options{ClientID: standInClient, ClientSecret: standInSecret})
	base, err := d.serveLocal(ctx, d.proc)
	if err != nil {
		return err
	}
	vars["PROCEDURES_URL"] = base
	vars["PROCEDURES_TOKEN_URL"] = base + proceduresim.TokenPath
	vars["PROCEDURES_CLIENT_ID"] = standInClient
	vars["PROCEDURES_CLIENT_SECRET"] = standInSecret
	vars["PROCEDURES_WEBHOOK_SECRET"] = standInSecret
	return nil
}

// devPeople are the residents who are there from the start: ids, and the content
// keys of their names.
var devPeople = map[string]string{
	"2512345678901234567": "dev.people.first",
	"2598765432109876543": "dev.people.second",
}

func (d *dev) chatPage(a *app) *chatpage.Page {
	if len(d.zalo.Users()) == 0 {
		for _, id := range slices.Sorted(maps.Keys(devPeople)) {
			d.zalo.AddUser(zalosim.User{ID: id, Name: a.texts.Text(bot.Vietnamese, devPeople[id], nil)})
		}
	}
	var samples []chatpage.Sample
	if d.proc != nil {
		for _, s := range d.proc.Dossiers() {
			samples = append(samples, chatpage.Sample{Code: s.Code, What: s.StatusName + ": " + s.Procedure, Factor: s.Factor})
		}
	}
	title := func(button string) string { return content.Title(a.texts.Text(bot.Vietnamese, button, nil)) }
	menu := []chatpage.MenuItem{
		{Title: title("menu.button.lookup"), Payload: bot.Payload("dossier", "ask", "")},
		{Title: title("way.button.home"), Payload: bot.Payload("menu", "show", "")},
	}
	return chatpage.New(d.zalo, chatpage.Options{
		Texts: a.texts, AccountName: a.texts.Province().Facts[bot.Vietnamese]["channel"], Samples: samples, Menu: menu,
		Remote: !loopback("http://" + d.cfg.HTTPAddr),
	})
}

func writeJSON(file string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	slog.Debug("written", "file", file)
	return nil
}
