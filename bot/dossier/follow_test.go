package dossier_test

import (
	"errors"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/setting"

	"github.com/jackc/pgx/v5"
)

func TestUnfollowing(t *testing.T) {
	w := watch(t)
	w.followed(anna, ben)
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	w.apply(anna, w.event(), dossier.Unfollow{Code: code})
	w.pushed()
	w.look(10 * time.Second)
	w.tells("one of two", "200 dossier.ready")
	if k := w.kept(anna); k.Followed {
		t.Errorf("still followed: %+v", k)
	}
	w.apply(ben, w.event(), dossier.UnfollowAll{})
	asked := w.asked()
	w.look(48 * time.Hour)
	if w.asked() != asked || w.count("dossier_watch") != 0 {
		t.Errorf("looked at, or left in the watch, though nobody follows")
	}
	w.apply(ben, w.event(), dossier.Follow{Code: code}, dossier.Drop{Code: code})
	w.look(time.Hour)
	if w.count("dossier_watch") != 0 {
		t.Error("watched though it was dropped")
	}
	w.apply(ben, w.event(), dossier.Follow{Code: code})
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error { return w.Store().EraseCitizen(t.Context(), tx, ben) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store().Purge(t.Context(), w.clock.now()); err != nil || w.count("dossier_watch") != 0 {
		t.Errorf("watched though its follower was erased, %v", err)
	}
	w.apply(ben, w.event(), dossier.Follow{Code: code}, dossier.UnfollowAll{}, dossier.Follow{Code: bare})
	if kept, _ := w.Kept(t.Context(), ben); len(kept) != 2 || kept[0].Followed == kept[1].Followed {
		t.Errorf("kept %+v; want one followed", kept)
	}
}

// What changes between the answer somebody read and the first look of the watch is
// told.
func TestAChangeBeforeTheFirstLook(t *testing.T) {
	w := watch(t)
	_ = w.view(anna)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.apply(anna, w.event(), dossier.Follow{Code: code})
	w.system.set(func(s *system) { s.down = errors.New("502") })
	w.look(10 * time.Second)
	w.system.set(func(s *system) { s.down = nil })
	w.change(func(r *dossier.Record) { r.Status, r.FinishedAt = dossier.StatusReturned, w.clock.now() })
	w.look(5 * time.Minute)
	w.tells("a change before the first look", "100 dossier.ended")
	w.look(24 * time.Hour)
	w.tells("the next day", "100 dossier.rating")
	// An older state is nothing anybody was just shown.
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusProcessing })
	w.apply(ben, w.event(), dossier.Follow{Code: code})
	w.look(10 * time.Second)
	w.tells("a follow without a look")
}

// A follow that is not committed yet keeps the row that would leave.
func TestAFollowMeetsARowThatLeaves(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.apply(anna, w.event(), dossier.Unfollow{Code: code})
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	follow := []bot.Applied{{Citizen: ben, EventID: "e", At: w.clock.now(), Effect: dossier.Follow{Code: code}}}
	if err := w.Store().Apply(t.Context(), tx, follow); err != nil {
		t.Fatal(err)
	}
	w.look(48 * time.Hour) // the row is locked: passed over
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.look(time.Hour)
	if w.count("dossier_watch") != 1 {
		t.Error("a followed dossier is not watched")
	}
}

func TestTheRatingIsAskedTheNextDayAndEndsTheWatch(t *testing.T) {
	w := watch(t)
	w.followed(anna)
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReturned; r.ReturnedAt = w.clock.now() })
	w.pushed()
	w.look(10 * time.Second)
	w.tells("returned", "100 dossier.ended")
	asked := w.asked()
	w.pushed()
	w.look(10 * time.Hour)
	w.tells("the same night")
	w.look(8 * time.Hour)
	told := w.tells("the next morning", "100 dossier.rating")
	contains(t, told[0].Content.Message.Text, "từ 5 đánh giá")
	if w.asked() != asked || w.count("dossier_watch") != 0 || w.kept(anna).Followed {
		t.Errorf("asked %d, watched %d, kept %+v after the end", w.asked()-asked, w.count("dossier_watch"), w.kept(anna))
	}
	// Who follows what is over hears nothing more.
	w.apply(ben, w.event(), dossier.Follow{Code: code})
	w.look(time.Hour)
	w.look(48 * time.Hour)
	w.tells("over already")
	if w.count("dossier_watch") != 0 {
		t.Error("a dossier that is over is watched")
	}
}

func TestKindsSwitchedOff(t *testing.T) {
	w := watch(t)
	settings := setting.NewStore(w.pool)
	set := func(name, value string) {
		t.Helper()
		err := settings.Set(t.Context(), "operator:test", name, value, nil)
		if err == nil {
			_, err = settings.Load(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.values = settings.Values
	set("notices.ready", "off")
	set("notices.change", "off")
	w.followed(anna)
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusPayment })
	w.pushed()
	w.look(10 * time.Second)
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReady })
	w.pushed()
	w.look(10 * time.Second)
	set("notices.ready", "on")
	set("notices.change", "on")
	w.pushed()
	w.look(time.Minute)
	w.tells("switched off: neither then nor later")
	w.change(func(r *dossier.Record) { r.Status = dossier.StatusReturned; r.ReturnedAt = w.clock.now() })
	w.pushed()
	w.look(time.Minute)
	w.tells("switched on", "100 dossier.ended")
}

func (w *watching) count(table string) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(w.t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
