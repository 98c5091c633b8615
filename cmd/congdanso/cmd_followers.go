package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"congdanso/bot/broadcast"
	"congdanso/bot/citizen"
	"congdanso/bot/delivery"
	"congdanso/bot/instance"
	"congdanso/integrations/redis"
	"congdanso/integrations/zalo"
)

// firstFollowers is the day before which no account of this kind had followers.
const firstFollowers = "2017-01-01"

// cmdFollowers imports the followers whom the account has already.
func cmdFollowers(ctx context.Context, p *program, args []string) error {
	usage := fmt.Errorf("%w: congdanso followers import [--since DAY]", errUsage)
	if len(args) == 0 || args[0] != "import" {
		return usage
	}
	set := flag.NewFlagSet("followers import", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	first := set.String("since", firstFollowers, "first DAY (2026-01-31) on which anybody can have been in touch with the account")
	if err := set.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	since, err := time.Parse(time.DateOnly, *first)
	if err != nil || set.NArg() > 0 {
		return usage
	}
	cfg, db, keys, err := p.unlock(ctx, "followers")
	if err != nil {
		return err
	}
	defer db.Close()
	shared, err := redis.Open(cfg.RedisURL)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	defer shared.Close()
	// Beating makes the servers leave this process its share of the rate.
	self := instance.New(db, "followers", readServer, func(bool) {})
	if err := self.Beat(ctx); err != nil {
		return err
	}
	limit := shared.Limiter(cfg.ZaloOAID, cfg.ZaloRatePerMinute, self.Alive)
	tokens := zalo.NewTokens(db, keys, zalo.TokenOptions{AppID: cfg.ZaloAppID, AppSecret: cfg.ZaloAppSecret, OAID: cfg.ZaloOAID,
		OAuthURL: cfg.ZaloOAuthURL, Seed: cfg.ZaloRefreshToken})
	client, err := zalo.New(zalo.Options{APIURL: cfg.ZaloAPIURL, ZNSURL: cfg.ZaloZNSURL, OAID: cfg.ZaloOAID, Tokens: tokens,
		OnLimit: func(ceiling, _ int) { limit.SetCeiling(ceiling) }, OnThrottled: limit.Throttled})
	if err != nil {
		return err
	}
	im := broadcast.Importer{
		Pool: db, Citizens: citizen.NewStore(db, keys), Zalo: followersAPI{client}, OAID: cfg.ZaloOAID, Since: since, Now: time.Now,
		Slot: func(ctx context.Context) error { return limit.Take(ctx, delivery.Upkeep) },
		Progress: func(n broadcast.Imported) {
			fmt.Fprintf(p.stdout, "Followers listed: %d, new here: %d.\n", n.Found, n.Made)
		},
	}
	helpers, stop := context.WithCancel(ctx)
	defer stop()
	g, helpers := errgroup.WithContext(helpers)
	for _, run := range []func(context.Context) error{self.Run, shared.Run, tokens.Run} {
		g.Go(func() error { return run(helpers) })
	}
	var done broadcast.Imported
	g.Go(func() (err error) {
		defer stop()
		done, err = im.Run(helpers)
		return err
	})
	err = g.Wait()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stdout, "Stopped. The same command goes on from here within a week.")
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	default:
		fmt.Fprintf(p.stdout, "Done. Followers listed: %d, new here: %d.\n", done.Found, done.Made)
		if done.Missed > 0 {
			fmt.Fprintf(p.stdout, "Zalo counts %d more than it lets be read; they become known when they write.\n", done.Missed)
		}
	}
	return nil
}

// followersAPI lists followers in the words of package broadcast.
type followersAPI struct{ *zalo.Client }

func (f followersAPI) Followers(ctx context.Context, q broadcast.UserQuery) ([]string, int, error) {
	following := true
	query := zalo.UserQuery{Offset: q.Offset, Tag: q.Tag, Followers: &following}
	if !q.From.IsZero() {
		query.Period = q.From.Format("2006_01_02") + ":" + q.To.Format("2006_01_02")
	}
	return f.Users(ctx, query)
}

// articleAPI writes and sends articles in the words of package broadcast.
type articleAPI struct{ *zalo.Client }

func (a articleAPI) CreateArticle(ctx context.Context, p broadcast.Page) (string, error) {
	return a.Client.CreateArticle(ctx, asArticle(p))
}

func (a articleAPI) UpdateArticle(ctx context.Context, id string, p broadcast.Page) (string, error) {
	return a.Client.UpdateArticle(ctx, id, asArticle(p))
}

func (a articleAPI) ArticleShown(ctx context.Context, id string) (bool, error) {
	d, err := a.ArticleDetail(ctx, id)
	return d.Status == "show", err
}

func (a articleAPI) BroadcastArticle(ctx context.Context, id string, t broadcast.Target) (string, error) {
	target := zalo.Target{Ages: numbers(t.Ages), Cities: numbers(t.Cities)}
	if t.Gender != 0 {
		target.Gender = numbers([]int{t.Gender})
	}
	r, err := a.Broadcast(ctx, []string{id}, target)
	return r.MsgID, err
}

func numbers(list []int) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = itoa(n)
	}
	return out
}

func asArticle(p broadcast.Page) zalo.Article {
	a := zalo.Article{Title: p.Title, Author: p.Author, Description: p.Description, CoverURL: p.CoverURL, Show: p.Show}
	for _, html := range p.Blocks {
		a.Body = append(a.Body, zalo.Block{Type: zalo.BlockText, Content: html})
	}
	return a
}
