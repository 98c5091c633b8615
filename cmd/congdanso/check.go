package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"congdanso/bot/dossier"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/understand"
	"congdanso/bot/unit"
	"congdanso/content"
	"congdanso/flows"
	"congdanso/integrations/postgres"
	"congdanso/integrations/procedures"
	"congdanso/integrations/zalo"
)

// refuseContent fails when something in content must not go out.
func refuseContent(problems []content.Problem) error {
	var faults []string
	for _, p := range problems {
		if !p.Warning {
			faults = append(faults, p.String())
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("content cannot go out:\n  - %s", strings.Join(faults, "\n  - "))
	}
	return nil
}

// cmdCheck tells everything that is wrong with settings and content at once.
func cmdCheck(ctx context.Context, p *program, args []string) error {
	set := flag.NewFlagSet("check", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	live := set.Bool("live", false, "also ask Postgres, Zalo and the procedure system")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	c := &checker{p: p}
	cfg, err := readConfig(p.vars)
	if err == nil {
		err = cfg.validate()
	}
	c.result("settings", err)
	if cfg.tz == nil {
		cfg.tz = time.UTC
	}
	c.content(cfg)
	if err == nil {
		c.advice(cfg)
		if *live {
			c.live(ctx, cfg)
		}
	}
	if c.failed {
		return errCheck
	}
	return nil
}

// checker prints results as they come.
type checker struct {
	p      *program
	failed bool
}

func (c *checker) result(what string, err error) {
	if err != nil {
		c.failed = true
		fmt.Fprintf(c.p.stdout, "FAIL  %s: %v\n", what, err)
		return
	}
	fmt.Fprintf(c.p.stdout, "ok    %s\n", what)
}

func (c *checker) warn(format string, args ...any) {
	fmt.Fprintf(c.p.stdout, "warn  "+format+"\n", args...)
}

func (c *checker) content(cfg Config) {
	files := content.Files(cfg.ContentDir)
	texts, err := content.Load(files, cfg.tz, content.WithPublicURL(cfg.PublicURL))
	if err != nil {
		c.result("content", err)
		return
	}
	problems := content.Check(texts, flows.All(flows.Deps{Content: texts}))
	c.result("content", refuseContent(problems))
	for _, p := range problems {
		if p.Warning {
			c.warn("content: %s", p.String())
		}
	}
	_, err = understand.New(files)
	if err == nil {
		if faults := understand.Check(files); len(faults) > 0 {
			err = fmt.Errorf("%d faults, the first: %w", len(faults), faults[0])
		}
	}
	c.result("lexicon", err)
	c.result("administrative units", errors.Join(unit.Check(files)...))
	var missing []error
	for _, key := range setting.Check(texts) {
		missing = append(missing, fmt.Errorf("no text %s", key))
	}
	c.result("explanations of settings", errors.Join(missing...))
}

// advice is what an operator should know though it stops nothing.
func (c *checker) advice(cfg Config) {
	if u, err := url.Parse(cfg.PublicURL); err == nil && !strings.HasSuffix(u.Hostname(), ".gov.vn") {
		c.warn("PUBLIC_URL is not a .gov.vn name: residents cannot tell it from a fraud")
	} else if err == nil && u.Scheme != "https" {
		c.warn("PUBLIC_URL is not https: Zalo takes no such webhook")
	}
	if cfg.RedisURL == "" {
		c.warn("REDIS_URL is not set: with more than one instance each takes its share of the rate")
	}
	if cfg.SMTPURL == "" {
		c.warn("SMTP_URL is not set: alarms go to the log only")
	}
	if cfg.DatabaseOwnerURL == "" || sameRole(cfg.DatabaseURL, cfg.DatabaseOwnerURL) {
		c.warn("DATABASE_URL and DATABASE_OWNER_URL are one role: the application could alter its own audit log")
	}
	if cfg.SendPaused {
		c.warn("SEND_PAUSED is set: nothing is sent")
	}
}

func sameRole(a, b string) bool {
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return errA == nil && errB == nil && ua.User.Username() == ub.User.Username()
}

// live asks what is outside.
func (c *checker) live(ctx context.Context, cfg Config) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	db, err := postgres.Open(ctx, cfg.DatabaseURL, postgres.Name("check"))
	if err != nil {
		c.result("postgres", err)
		return
	}
	defer db.Close()
	have, want, err := postgres.SchemaVersion(ctx, db)
	if err == nil && have < want {
		err = errSchema
	}
	c.result("postgres", err)
	if err != nil {
		return
	}
	keys, err := seal.Load(ctx, db, cfg.dataKey, cfg.dataKeyOld)
	c.result("data keys", err)
	if err != nil {
		return
	}
	if cfg.dataKeyOld != nil {
		if needed, err := seal.OldKeyNeeded(ctx, db, cfg.dataKey); err == nil && !needed {
			c.warn("DATA_KEY_OLD is no longer needed: every key is under DATA_KEY")
		}
	}
	c.zalo(ctx, cfg, db, keys)
	source := procedures.New(procedures.Options{URL: cfg.ProceduresURL, TokenURL: cfg.ProceduresTokenURL,
		ClientID: cfg.ProceduresClientID, ClientSecret: cfg.ProceduresClientSecret})
	// A code that cannot be: what counts is that the system answers.
	_, err = source.Find(ctx, dossier.Code("H00.00-180101-0000"))
	if errors.Is(err, dossier.ErrNotFound) {
		err = nil
	}
	c.result("procedure system", err)
}

func (c *checker) zalo(ctx context.Context, cfg Config, db pool, keys *seal.Keyring) {
	tokens := zalo.NewTokens(db, keys, zalo.TokenOptions{
		AppID: cfg.ZaloAppID, AppSecret: cfg.ZaloAppSecret, OAID: cfg.ZaloOAID,
		OAuthURL: cfg.ZaloOAuthURL, Seed: cfg.ZaloRefreshToken,
	})
	client, err := zalo.New(zalo.Options{APIURL: cfg.ZaloAPIURL, ZNSURL: cfg.ZaloZNSURL, OAID: cfg.ZaloOAID, Tokens: tokens})
	if err != nil {
		c.result("zalo settings", err)
		return
	}
	oa, err := client.Account(ctx)
	if err == nil && oa.ID != cfg.ZaloOAID {
		err = fmt.Errorf("the token belongs to another account (%s) than ZALO_OA_ID", oa.ID)
	}
	c.result("zalo token and account", err)
	if err != nil {
		return
	}
	fmt.Fprintf(c.p.stdout, "      %s: verified %t, package %q until %s, %d followers\n", oa.Name, oa.Verified, oa.Package, oa.ValidTo, oa.Followers)
	if !oa.Verified {
		c.warn("the account is not verified: Zalo refuses templates and broadcasts")
	}
	values, err := setting.NewStore(db).Load(ctx)
	if err != nil {
		c.result("settings of operators", err)
		return
	}
	faults, err := push.NewStore(db, keys).CheckTemplates(ctx, cfg.ZaloOAID, values, templateAPI{client}, time.Now().UTC())
	c.result("templates", errors.Join(append(faults, err)...))
}
