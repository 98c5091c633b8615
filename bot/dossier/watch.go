package dossier

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/setting"

	"github.com/jackc/pgx/v5"
)

// How followed dossiers are watched.
var (
	// looksPerMinute bounds the look-ups of all instances together, in any minute.
	looksPerMinute = setting.Int("dossier.looks_per_minute", 60, 1, 6000)
	// changesList: off where the list of changes is there but not to be trusted.
	changesList = setting.Bool("dossier.changes_list", true)
)

// Notices takes what followers are told, in the caller's transaction; *push.Store
// does.
type Notices interface {
	Add(ctx context.Context, tx pgx.Tx, told []push.Told, now time.Time) error
}

// Changes is the procedure system's list of changes. The error is ErrNoChanges
// where it has none.
type Changes interface {
	Changes(ctx context.Context, since time.Time, page int) (changes []Change, more bool, err error)
}

// Watch tells followers when their dossiers change.
//
// Whatever says that a dossier changed, a push (see Hook), a line of the list of
// changes (Poll) or the time that passed, is a hint and no more: the dossier is
// looked up afresh (Look), and compared with what its followers know. Only a
// difference is told. So hints may lie, repeat themselves, and come in any order.
//
// Several instances may run it at once. A dossier looked at is put off first, so
// a crash costs a wait; and its new state is written in the transaction that
// makes the notices, only where the old state still stands, so nobody is told
// twice.
type Watch struct {
	service *Service
	store   *Store
	changes Changes
	notices Notices
	texts   bot.Texts
	values  func() setting.Values
	log     *slog.Logger
}

// WatchOptions are what a Watch stands on. All but Log are required.
type WatchOptions struct {
	Service *Service
	Changes Changes // the procedure system, where Service's Source has the list
	Notices Notices
	Texts   bot.Texts
	Values  func() setting.Values
	Log     *slog.Logger // default slog.Default()
}

// NewWatch returns a watch.
func NewWatch(o WatchOptions) *Watch {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Watch{
		service: o.Service, store: o.Service.store, changes: o.Changes, notices: o.Notices,
		texts: o.Texts, values: o.Values, log: o.Log,
	}
}

// How often a dossier is looked at where nothing hints at changes: often near its
// due date, rarely far from it.
const (
	everyNear   = 30 * time.Minute // a day or less before the due date, or up to two days late
	everySoon   = 2 * time.Hour    // within three days
	everyWait   = 4 * time.Hour    // something is wanted from the citizen, or the office has yet to begin
	everyWeek   = 8 * time.Hour    // within ten days, or late for long
	everyFar    = 24 * time.Hour
	everyListed = 72 * time.Hour // where the list of changes is read: in case it leaves something out
)

// every is how often a dossier in state t should be looked at.
func (t *told) every(now time.Time, listed bool) time.Duration {
	if listed {
		return everyListed
	}
	left := t.Due.Sub(now)
	switch {
	case t.Public.Status == StatusSupplement, t.Public.Status == StatusPayment, t.Public.Status == StatusFiled:
		return everyWait
	case t.Public.Status == StatusReady:
		return everyWeek
	case t.Due.IsZero():
		return everyFar
	case left <= 24*time.Hour && left > -48*time.Hour:
		return everyNear
	case left <= 72*time.Hour && left > 0:
		return everySoon
	case left <= 240*time.Hour && left > -240*time.Hour:
		return everyWeek
	}
	return everyFar
}

// around spreads what would otherwise come together: d, up to a fifth shorter or
// longer.
func around(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
