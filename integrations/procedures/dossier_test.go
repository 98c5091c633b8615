package procedures_test

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/dossier"
	"congdanso/bot/seal"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/procedures/proceduresim"
)

// service puts the feature on top of the client, the stand-in and a real
// database.
func service(t *testing.T, r rig) *dossier.Service {
	t.Helper()
	return dossier.New(dossier.Options{
		Pool: pgtest.New(t), Ring: seal.ForTest(), Source: r, Now: r.clock.now, Private: []string{"1.004873"},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

var anna = bot.CitizenID{OA: "1", User: "100"}

func TestTheExampleFromCodeToDetail(t *testing.T) {
	r := start(t)
	s := service(t, r)
	v, err := s.Lookup(t.Context(), anna, "e1", example)
	if err != nil || v.Status != dossier.StatusSupplement || v.Timing(r.clock.now()) != dossier.TimingPaused || !v.Private {
		t.Fatalf("got %+v, %v", v, err)
	}
	if _, err := s.Prove(t.Context(), anna, "e2", example, "4321"); err == nil || err.Error() != (&dossier.Wrong{Left: 4}).Error() {
		t.Errorf("wrong digits: %v", err)
	}
	d, err := s.Prove(t.Context(), anna, "e3", example, "0001")
	if err != nil {
		t.Fatal(err)
	}
	want := d.OpenSupplement()
	if d.Owner != "N*** T** M**" || want == nil || want.By != "Trần Văn Thử" || want.Words != "Bổ sung bản sao trích lục ly hôn" || len(want.Papers) != 1 {
		t.Errorf("got %+v, wanted papers %+v", d, want)
	}
	if !d.FeesKnown || len(d.Fees) != 1 || d.Fees[0].Amount != 0 || d.Fees[0].Note == "" {
		t.Errorf("fees %+v", d.Fees)
	}
}

func TestEverySampleIsServedAndOpened(t *testing.T) {
	r := start(t)
	r.clock.add(5 * 24 * time.Hour)
	s := service(t, r)
	samples := r.sim.Dossiers()
	step := 1 + len(samples)/60
	for i := 0; i < len(samples); i += step {
		sample := samples[i]
		code := sample.Code
		if sample.NationCode != "" {
			code = sample.NationCode
		}
		parsed, err := dossier.ParseCode(code, r.clock.now())
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		v, err := s.Lookup(t.Context(), anna, "look:"+code, parsed)
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if v.Status != dossier.Status(sample.Status) && v.Status != dossier.StatusUnknown {
			t.Errorf("%s: status %d, want %d", code, v.Status, sample.Status)
		}
		_, err = s.Prove(t.Context(), anna, "prove:"+code, parsed, sample.Factor)
		if (err == nil) != (sample.Factor != "") {
			t.Errorf("%s with %q: %v", code, sample.Factor, err)
		}
	}
}

func TestOneHangingDossierHoldsUpNobodyElse(t *testing.T) {
	r := start(t)
	s := service(t, r)
	if _, err := s.Lookup(t.Context(), anna, "warm", "H42.16-240612-0002"); err != nil {
		t.Fatal(err)
	}
	r.clock.add(2 * time.Minute)
	r.sim.Fault(proceduresim.Fault{Kind: proceduresim.Hang, Code: string(example)})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := s.Lookup(t.Context(), anna, "hang", example)
		var away *dossier.Unavailable
		if !errors.As(err, &away) {
			t.Errorf("the hanging one: %v", err)
		}
	})
	for i, code := range []dossier.Code{"H42.16-240612-0002", "H42.16-240612-0003", "H42.16-240612-0004", "000.00.16.H42-240612-0005"} {
		if _, err := s.Lookup(t.Context(), bot.CitizenID{OA: "1", User: string(rune('a' + i))}, "e", code); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	wg.Wait()
}
