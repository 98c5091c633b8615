package broadcast

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"congdanso/bot/citizen"
	"congdanso/bot/unit"
)

const (
	// usersPage is the most people Zalo lists at once, and mostListed how far, page by
	// page, a list can be read: no page begins after 9951 (facts: getlist).
	usersPage  = 50
	mostListed = 10_000
	// rereads is how often a list is read again because people moved while it was read.
	rereads = 3
	// importAgain is how old an import that was broken off may be and still go on.
	importAgain = 7 * 24 * time.Hour
	// dayForm is how days are written in the table.
	dayForm = time.DateOnly
)

// UserQuery says which followers to list.
type UserQuery struct {
	Offset   int
	Tag      string    // only who bears it; empty: all
	From, To time.Time // days of the last interaction, both included; zero: any
}

// FollowersAPI lists the account's followers. Errors are *delivery.Refusal.
type FollowersAPI interface {
	// Followers lists ids, usersPage at most, and tells how many there are in all.
	Followers(ctx context.Context, q UserQuery) (ids []string, total int, err error)
	Tags(ctx context.Context) ([]string, error)
}

// Importer reads the followers the account has at Zalo, who followed before this
// channel listened, and makes them known here. It is slow on purpose: it takes the
// places under the rate limit that nobody else wants.
//
// Zalo lets no more than mostListed people of a list be read, and says of a person's
// last interaction only the day. So days are cut until each fits: first the days,
// which also say when people interacted, then the tags they bear.
type Importer struct {
	Pool     *pgxpool.Pool
	Citizens *citizen.Store
	Zalo     FollowersAPI
	OAID     string
	// Since is the first day looked at: when the account was made, or earlier.
	Since time.Time
	Now   func() time.Time
	// Slot waits for a place under the rate limit, in the lowest class.
	Slot func(ctx context.Context) error
	// Progress, where given, hears of every list that was read.
	Progress func(Imported)
}

// Imported is how far an import is.
type Imported struct {
	StartedAt time.Time
	Found     int64 // people listed by day
	Made      int64 // of them not known before
	Missed    int64 // counted by Zalo, but beyond what it lets be read
}

// slice is a part of the followers: of a tag (empty: all), who interacted last
// within these days (zero: whenever).
type slice struct {
	tag      string
	from, to time.Time
}

// key names a slice in the table of what is done.
func (s slice) key() string {
	key := "all"
	if !s.from.IsZero() {
		key = s.from.Format(dayForm) + ":" + s.to.Format(dayForm)
	}
	if s.tag != "" {
		key += "#" + s.tag
	}
	return key
}

func (s slice) single() bool { return s.from.Equal(s.to) }

// halves cuts a slice of several days in two, the later half first.
func (s slice) halves() (late, early slice) {
	days := int(s.to.Sub(s.from).Hours() / 24)
	middle := s.from.AddDate(0, 0, days/2)
	return slice{s.tag, middle.AddDate(0, 0, 1), s.to}, slice{s.tag, s.from, middle}
}

// Run imports, or goes on with an import that was broken off: what was done of it
// is not asked for again. Repeating it is harmless.
func (im *Importer) Run(ctx context.Context) (Imported, error) {
	since, upto, err := im.begin(ctx)
	if err != nil {
		return Imported{}, err
	}
	if err := im.walk(ctx, slice{"", since, upto}); err != nil {
		return im.sofar(ctx, fmt.Errorf("import followers: %w", err))
	}
	if err := im.rest(ctx); err != nil {
		return im.sofar(ctx, fmt.Errorf("import followers: %w", err))
	}
	tags, err := im.tags(ctx)
	if err != nil {
		return im.sofar(ctx, fmt.Errorf("import tags: %w", err))
	}
	for _, tag := range tags {
		if err := im.tag(ctx, tag, since, upto); err != nil {
			return im.sofar(ctx, fmt.Errorf("import tags: %w", err))
		}
	}
	// Tags that left the account, and those that left a person.
	_, err = im.Pool.Exec(ctx, `
WITH done AS (UPDATE follower_import SET finished_at = $3 WHERE oa_id = $1 RETURNING started_at)
DELETE FROM citizen_tag t USING done WHERE t.oa_id = $1 AND (t.seen_at < done.started_at OR t.tag <> ALL ($2::text[]))`,
		im.OAID, tags, im.Now().UTC())
	if err != nil {
		err = fmt.Errorf("finish the import of followers: %w", err)
	}
	return im.sofar(ctx, err)
}

// begin finds an import to go on with, or makes a new one.
func (im *Importer) begin(ctx context.Context) (since, upto time.Time, err error) {
	now := im.Now().UTC()
	today := localDay(now)
	err = pgx.BeginFunc(ctx, im.Pool, func(tx pgx.Tx) error {
		var started time.Time
		var finished *time.Time
		err := tx.QueryRow(ctx, `SELECT started_at, since, upto, finished_at FROM follower_import WHERE oa_id = $1 FOR UPDATE`, im.OAID).
			Scan(&started, &since, &upto, &finished)
		if err == nil && finished == nil && now.Sub(started) < importAgain {
			return nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		since, upto = localDay(im.Since), today
		if since.After(upto) {
			since = upto
		}
		if _, err := tx.Exec(ctx, `DELETE FROM follower_import WHERE oa_id = $1`, im.OAID); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO follower_import (oa_id, started_at, since, upto) VALUES ($1, $2, $3, $4)`,
			im.OAID, now, since, upto)
		return err
	})
	if err != nil {
		return since, upto, fmt.Errorf("begin the import of followers: %w", err)
	}
	return since, upto, nil
}

// localDay is the day of a moment, where people live, as Postgres's date.
func localDay(at time.Time) time.Time {
	at = at.In(unit.Zone)
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
}

// sofar reads how far the import is.
func (im *Importer) sofar(ctx context.Context, cause error) (Imported, error) {
	var n Imported
	err := im.Pool.QueryRow(context.WithoutCancel(ctx), `SELECT started_at, found, made, missed FROM follower_import WHERE oa_id = $1`, im.OAID).
		Scan(&n.StartedAt, &n.Found, &n.Made, &n.Missed)
	return n, errors.Join(cause, err)
}

// tag reads who bears a tag: as one list where that can be read, else by days.
func (im *Importer) tag(ctx context.Context, tag string, since, upto time.Time) error {
	whole := slice{tag: tag}
	done, err := im.done(ctx, whole)
	if err != nil || done {
		return err
	}
	_, total, err := im.ask(ctx, whole, 0)
	if err != nil {
		return err
	}
	if total <= mostListed {
		return im.read(ctx, whole)
	}
	return im.walk(ctx, slice{tag, since, upto})
}

// rest looks for people who stand under no day: the list of all, where it can be
// read to its end, has them.
func (im *Importer) rest(ctx context.Context) error {
	all := slice{}
	done, err := im.done(ctx, all)
	if err != nil || done {
		return err
	}
	_, total, err := im.ask(ctx, all, 0)
	if err != nil {
		return err
	}
	if total <= mostListed {
		return im.read(ctx, all)
	}
	n, err := im.sofar(ctx, nil)
	if err != nil {
		return err
	}
	return im.note(ctx, all, counts{missed: max(0, int64(total)-n.Found-n.Missed)})
}

func (im *Importer) tags(ctx context.Context) ([]string, error) {
	if err := im.Slot(ctx); err != nil {
		return nil, err
	}
	tags, err := im.Zalo.Tags(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	return tags, nil
}

// walk reads a slice of days, cut until every part is one day, or one list of a
// tag. Parts without anybody are not cut further.
func (im *Importer) walk(ctx context.Context, s slice) error {
	if done, err := im.done(ctx, s); err != nil || done {
		return err
	}
	_, total, err := im.ask(ctx, s, 0)
	if err != nil {
		return err
	}
	switch {
	case total == 0:
		return im.note(ctx, s, counts{})
	case s.single() && total > mostListed && s.tag == "":
		return im.crowded(ctx, s, total)
	case s.single(), s.tag != "" && total <= mostListed:
		return im.read(ctx, s)
	}
	late, early := s.halves()
	if err := im.walk(ctx, late); err != nil {
		return err
	}
	if err := im.walk(ctx, early); err != nil {
		return err
	}
	return im.note(ctx, s, counts{})
}

// crowded reads a day that is too full for one list: the first of all, and then
// each tag's. Whoever bears none and comes after the first is missed, and counted.
func (im *Importer) crowded(ctx context.Context, s slice, total int) error {
	seen := map[string]bool{}
	first, _, err := im.list(ctx, s)
	if err != nil {
		return err
	}
	tags, err := im.tags(ctx)
	if err != nil {
		return err
	}
	all := [][]string{first}
	for _, tag := range tags {
		ids, _, err := im.list(ctx, slice{tag, s.from, s.to})
		if err != nil {
			return err
		}
		all = append(all, ids)
	}
	var people []string
	for _, ids := range all {
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				people = append(people, id)
			}
		}
	}
	missed := max(0, total-len(people))
	if missed > 0 {
		slog.Warn("a day holds more followers than Zalo lets be read", "day", s.from.Format(dayForm), "missed", missed)
	}
	return im.keep(ctx, s, people, missed)
}

// read reads a slice and keeps it.
func (im *Importer) read(ctx context.Context, s slice) error {
	ids, total, err := im.list(ctx, s)
	if err != nil {
		return err
	}
	return im.keep(ctx, s, ids, max(0, total-len(ids)))
}

// list reads a list from beginning to end. Who interacts meanwhile leaves it, and
// the next one moves onto a page already read: then it is read again.
func (im *Importer) list(ctx context.Context, s slice) (ids []string, total int, err error) {
	seen := map[string]bool{}
	for try := 0; try <= rereads; try++ {
		first, moved := -1, false
		for offset := 0; offset < mostListed; offset += usersPage {
			page, n, err := im.ask(ctx, s, offset)
			if err != nil {
				return nil, 0, err
			}
			if first < 0 {
				first = n
			}
			moved = moved || n != first
			total = n
			for _, id := range page {
				if !seen[id] {
					seen[id] = true
					ids = append(ids, id)
				}
			}
			if len(page) < usersPage {
				break
			}
		}
		if !moved {
			break
		}
	}
	return ids, total, nil
}

func (im *Importer) ask(ctx context.Context, s slice, offset int) ([]string, int, error) {
	if err := im.Slot(ctx); err != nil {
		return nil, 0, err
	}
	ids, total, err := im.Zalo.Followers(ctx, UserQuery{Offset: offset, Tag: s.tag, From: s.from, To: s.to})
	if err != nil {
		return nil, 0, fmt.Errorf("list followers: %w", err)
	}
	return ids, total, nil
}
