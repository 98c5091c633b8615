package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"congdanso/bot"
	"congdanso/bot/broadcast"
	"congdanso/bot/push"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/bot/unit"
	"congdanso/content"
)

const broadcastUsage = "congdanso broadcast list, or congdanso broadcast plan|show|pause|resume|cancel|report ID"

// How much the commands print.
const (
	listedBroadcasts = 50
	listedRuns       = 10
	listedUnknown    = 20
)

// desk is what an operator looks after broadcasts with.
type desk struct {
	*broadcast.Store
	p     *program
	cfg   Config
	texts *content.Library
	lang  string
	now   time.Time
}

// cmdBroadcast shows broadcasts and holds, resumes or cancels them. Writing and
// approving take two people who have signed in.
func cmdBroadcast(ctx context.Context, p *program, args []string) error {
	acts := map[string]func(d *desk, ctx context.Context, id int64) error{
		"plan": (*desk).plan, "show": (*desk).show, "report": (*desk).report,
		"pause": (*desk).pause, "resume": (*desk).resume, "cancel": (*desk).cancel,
	}
	var do func(d *desk, ctx context.Context, id int64) error
	var id int64
	switch {
	case len(args) == 1 && args[0] == "list":
		do = (*desk).list
	case len(args) == 2 && acts[args[0]] != nil:
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %q is not the number of a broadcast", errUsage, args[1])
		}
		do, id = acts[args[0]], n
	default:
		return fmt.Errorf("%w: %s", errUsage, broadcastUsage)
	}
	cfg, db, keys, err := p.unlock(ctx, "broadcast")
	if err != nil {
		return err
	}
	defer db.Close()
	files := content.Files(cfg.ContentDir)
	texts, err := content.Load(files, cfg.tz, content.WithPublicURL(cfg.PublicURL))
	if err != nil {
		return err
	}
	units, err := unit.Load(files)
	if err != nil {
		return err
	}
	settings := setting.NewStore(db)
	if _, err := settings.Load(ctx); err != nil {
		return err
	}
	d := &desk{p: p, cfg: cfg, texts: texts, lang: p.language(), now: time.Now().UTC(),
		Store: broadcast.NewStore(broadcast.Options{
			Pool: db, Keys: keys, Push: push.NewStore(db, keys), Staff: staff.NewStore(db, keys, time.Now),
			Texts: texts, Units: units, Values: settings.Values, PublicURL: cfg.PublicURL,
		})}
	if err := do(d, ctx, id); err != nil {
		if words, ok := broadcast.Explain(err, texts, d.lang); ok {
			return errors.New(words)
		}
		return err
	}
	return nil
}

// word says a code of a broadcast.
func (d *desk) word(section, code string) string {
	return broadcast.Word(d.texts, d.lang, section, code)
}

func (d *desk) moment(at time.Time) string { return d.texts.Moment(d.lang, at, d.now) }

func (d *desk) say(format string, args ...any) { fmt.Fprintf(d.p.stdout, format+"\n", args...) }

func (d *desk) list(ctx context.Context, _ int64) error {
	list, err := d.List(ctx, d.cfg.ZaloOAID, 0, listedBroadcasts)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		d.say("There are no broadcasts.")
		return nil
	}
	table := tabwriter.NewWriter(d.p.stdout, 0, 0, 2, ' ', 0)
	for _, b := range list {
		when := ""
		if next := b.Schedule.Occurrences(d.now); len(next) > 0 {
			when = d.moment(next[0])
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", b.ID, d.word("state", string(b.State)), b.Kind, when, b.Title)
	}
	return table.Flush()
}

func (d *desk) plan(ctx context.Context, id int64) error {
	b, err := d.Get(ctx, id)
	if err != nil {
		return err
	}
	plan, err := d.Plan(ctx, b, d.now, d.cfg.ZaloRatePerMinute)
	if err != nil {
		return err
	}
	for _, line := range plan.Words(d.texts, d.lang, d.now) {
		d.say("%s", line)
	}
	return nil
}

func (d *desk) show(ctx context.Context, id int64) error {
	b, err := d.Get(ctx, id)
	if err != nil {
		return err
	}
	d.say("%d  %s  (%s)", b.ID, b.Title, d.word("state", string(b.State)))
	if b.Note != "" {
		d.say("note: %s", b.Note)
	}
	d.say("kind: %s, purpose: %s, agency: %s, urgent: %t", b.Kind, b.Purpose, b.Agency, b.Urgent)
	if b.LegalBasis != "" {
		d.say("legal basis: %s", b.LegalBasis)
	}
	if b.Corrects != 0 {
		d.say("corrects: %d", b.Corrects)
	}
	if by := b.Target.Words(d.texts, d.lang); by != "" {
		d.say("narrowed to: %s", by)
	}
	d.say("written by: %v", b.Authors)
	approvals, err := d.Approvals(ctx, id)
	if err != nil {
		return err
	}
	for _, a := range approvals {
		d.say("approved by: %s, %s (%d recipients, %d VND)", a.Approver, d.moment(a.At), a.Recipients, a.Cost)
	}
	for _, words := range b.Schedule.Words(d.texts, d.lang, d.now) {
		d.say("goes: %s", words)
	}
	runs, err := d.RunsOf(ctx, id, listedRuns)
	if err != nil {
		return err
	}
	for _, r := range runs {
		d.say("run %d: %s, %s %s", r.ID, d.moment(r.At), d.word("run_state", string(r.State)), d.word("cause", r.Cause))
		trouble, err := d.Trouble(ctx, r, d.now)
		if err != nil {
			return err
		}
		for _, words := range trouble.Words(d.texts, d.lang, d.now) {
			d.say("  %s", words)
		}
	}
	for _, text := range []broadcast.Text{b.Body.Vi, b.Body.En} {
		if len(text.Lines) == 0 {
			continue
		}
		d.say("\n%s", text.Issuer)
		for _, line := range text.Lines {
			d.say("%s", line)
		}
	}
	return nil
}

func (d *desk) pause(ctx context.Context, id int64) error {
	if err := d.Pause(ctx, operator(), id, d.now); err != nil {
		return err
	}
	d.say("Broadcast %d is paused. What is in the air ends as it ends.", id)
	return nil
}

func (d *desk) resume(ctx context.Context, id int64) error {
	if err := d.Resume(ctx, operator(), id, d.now); err != nil {
		return err
	}
	d.say("Broadcast %d goes on from where it stood.", id)
	return nil
}

func (d *desk) cancel(ctx context.Context, id int64) error {
	if err := d.Cancel(ctx, operator(), id, d.now); err != nil {
		return err
	}
	d.say("Broadcast %d is cancelled. Whoever has not been written to is skipped.", id)
	return nil
}

func (d *desk) report(ctx context.Context, id int64) error {
	report, err := d.Report(ctx, id, listedRuns, d.now)
	if err != nil {
		return err
	}
	d.say("%d  %s  (%s)", id, report.Broadcast.Title, d.word("state", string(report.Broadcast.State)))
	for _, r := range report.Runs {
		b := r.Books
		d.say("\nrun %d: %s, %s %s", r.Run.ID, d.moment(r.Run.At), d.word("run_state", string(r.Run.State)), d.word("cause", r.Run.Cause))
		d.say("audience %d = sent %d + failed %d + held %d + skipped %d + unknown %d + pending %d",
			b.Audience, b.Sent, b.Failed, b.Held, b.Skipped, b.Unknown, b.Pending)
		d.say("cost %d VND, delivered %d, read %d, unfollowed %d, took %s", b.Cost, b.Delivered, b.Read, r.Unfollows, r.Took.Round(time.Second))
		if err := d.counts(b.Counts); err != nil {
			return err
		}
		if b.Unknown == 0 {
			continue
		}
		unknown, err := d.Unknowns(ctx, r.Run.ID, bot.CitizenID{}, listedUnknown)
		if err != nil {
			return err
		}
		for _, u := range unknown {
			d.say("unknown: %s", u.Masked)
		}
		if more := b.Unknown - int64(len(unknown)); more > 0 {
			d.say("unknown: %d more", more)
		}
	}
	for _, c := range report.Clicks {
		d.say("opened %d times: %s", c.Clicks, c.URL)
	}
	return nil
}

// counts prints parts of the books.
func (d *desk) counts(list []push.Count) error {
	table := tabwriter.NewWriter(d.p.stdout, 0, 0, 2, ' ', 0)
	for _, c := range list {
		why := d.word("skip", c.Reason)
		if c.Reason == "" {
			why = d.word("rung", c.Rung)
		}
		fmt.Fprintf(table, "%s\t%d\t%d VND\t%s\n", c.State, c.N, c.Cost, why)
	}
	return table.Flush()
}

const noticesUsage = "congdanso notices stats [--since DAY]"

// cmdNotices tells how many notices of each kind were made, and what became of them.
func cmdNotices(ctx context.Context, p *program, args []string) error {
	if len(args) == 0 || args[0] != "stats" {
		return fmt.Errorf("%w: %s", errUsage, noticesUsage)
	}
	set := flag.NewFlagSet("notices stats", flag.ContinueOnError)
	set.SetOutput(p.stderr)
	week := time.Now().In(push.Local).AddDate(0, 0, -7).Format(time.DateOnly)
	first := set.String("since", week, "first DAY (2026-01-31) that is counted")
	if err := set.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	since, err := time.ParseInLocation(time.DateOnly, *first, push.Local)
	if err != nil || set.NArg() > 0 {
		return fmt.Errorf("%w: %s", errUsage, noticesUsage)
	}
	cfg, db, keys, err := p.unlock(ctx, "notices")
	if err != nil {
		return err
	}
	defer db.Close()
	texts, err := content.Load(content.Files(cfg.ContentDir), cfg.tz)
	if err != nil {
		return err
	}
	counts, err := push.NewStore(db, keys).Notices(ctx, since)
	if err != nil {
		return err
	}
	if len(counts) == 0 {
		fmt.Fprintf(p.stdout, "There were no notices since %s.\n", *first)
		return nil
	}
	d := &desk{p: p, texts: texts, lang: p.language()}
	for len(counts) > 0 {
		kind := counts[0].Kind
		n := slices.IndexFunc(counts, func(c push.Count) bool { return c.Kind != kind })
		if n < 0 {
			n = len(counts)
		}
		d.say("%s", kind)
		if err := d.counts(counts[:n]); err != nil {
			return err
		}
		counts = counts[n:]
	}
	return nil
}
