package dossier

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTiming(t *testing.T) {
	day := func(d, hour int) time.Time { return time.Date(2024, 6, d, hour, 0, 0, 0, Local) }
	due := day(17, 17)
	for name, c := range map[string]struct {
		p    Public
		now  time.Time
		want Timing
	}{
		"not due yet":                    {Public{Status: StatusProcessing, DueAt: due}, day(17, 17), TimingOpen},
		"a second after":                 {Public{Status: StatusProcessing, DueAt: due}, due.Add(time.Second), TimingLate},
		"papers wanted":                  {Public{Status: StatusSupplement, DueAt: due}, day(20, 8), TimingPaused},
		"fee wanted does not pause":      {Public{Status: StatusPayment, DueAt: due}, day(20, 8), TimingLate},
		"unknown status, past its date":  {Public{DueAt: due}, day(20, 8), TimingLate},
		"finished at the very moment":    {Public{Status: StatusReady, DueAt: due, FinishedAt: due}, day(20, 8), TimingOnTime},
		"finished after":                 {Public{Status: StatusReturned, DueAt: due, FinishedAt: day(18, 8)}, day(20, 8), TimingDoneLate},
		"ready, nobody says when":        {Public{Status: StatusReady, DueAt: due}, day(20, 8), TimingNone},
		"ready before its date":          {Public{Status: StatusReady, DueAt: due}, day(15, 8), TimingOnTime},
		"handed over in time":            {Public{Status: StatusReturned, DueAt: due, ReturnedAt: day(16, 8)}, day(20, 8), TimingOnTime},
		"handed over after, unfinished?": {Public{Status: StatusReturned, DueAt: due, ReturnedAt: day(19, 8)}, day(20, 8), TimingNone},
		"refused":                        {Public{Status: StatusRefused, DueAt: due}, day(20, 8), TimingNone},
		"withdrawn":                      {Public{Status: StatusWithdrawn, DueAt: due}, day(20, 8), TimingNone},
		"no date":                        {Public{Status: StatusProcessing}, day(20, 8), TimingNone},
		"due before receipt":             {Public{Status: StatusProcessing, DueAt: due, ReceivedAt: day(18, 8)}, day(20, 8), TimingDoubtful},
	} {
		if got := c.p.Timing(c.now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestWaitingForPapersIsTakenOut(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2024, 6, d, 17, 0, 0, 0, Local) }
	d := Detail{Public: Public{Status: StatusProcessing, DueAt: day(17)}}
	d.Supplements = []Supplement{{At: day(14), DoneAt: day(16)}}
	if got := d.Timing(day(19)); got != TimingOpen {
		t.Errorf("two days later: %s, want open: two days were spent waiting", got)
	}
	if got := d.Timing(day(20)); got != TimingLate {
		t.Errorf("three days later: %s", got)
	}
	d.Supplements[0].NewDue, d.DueAt, d.OldDueAt = day(18), day(18), day(17)
	if got := d.Timing(day(19)); got != TimingLate {
		t.Errorf("the system moved the date itself: %s, want late", got)
	}
	d.Supplements = append(d.Supplements, Supplement{At: day(18)})
	if d.Late(day(17)) || !d.ScoredLate(day(17)) {
		t.Error("a second request counts as late in the scores only")
	}
	if s := d.OpenSupplement(); s == nil || !s.At.Equal(day(18)) {
		t.Errorf("open request: %+v", s)
	}
}

func TestOnceLateAlwaysLateWhileOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(1_700_000_000, 1_800_000_000).Draw(t, name), 0)
		}
		p := Public{Status: Status(rapid.IntRange(0, 10).Draw(t, "status")), DueAt: at("due")}
		if rapid.Bool().Draw(t, "finished") {
			p.FinishedAt = at("finished at")
		}
		now := at("now")
		later := now.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "later")))
		if p.Late(now) && !p.Late(later) {
			t.Fatalf("%+v late at %s, not at %s", p, now, later)
		}
		if p.Status == StatusSupplement && p.FinishedAt.IsZero() && p.Late(now) {
			t.Fatalf("%+v late while papers are wanted", p)
		}
	})
}

func TestMaskName(t *testing.T) {
	for name, want := range map[string]string{
		"NGUYỄN THỊ MẪU":           "N*** T** M**",
		"  nguyễn  thị mẫu ":       "N*** T** M**",
		"Nguye\u0302\u0303n Thị A": "N*** T** *",
		"An":                       "A*",
		"":                         "",
		"ĐỖ VĂN NHÁP":              "Đ* V** N***",
	} {
		if got := MaskName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestFactorDigits(t *testing.T) {
	for text, want := range map[string]struct {
		digits string
		whole  bool
	}{
		"0001": {"0001", false}, " 0 0 0 1 ": {"0001", false}, "０００１": {"0001", false}, "4 số cuối là 0001 ạ": {"0001", false}, "0001.": {"0001", false},
		"0900000001": {"0001", true}, "+84 900 000 001": {"0001", true}, "037190000001": {"0001", true}, "0900.000.001": {"0001", true},
		"": {}, "001": {}, "12345": {}, "số 1": {}, "0001 0002": {}, "H42.16-240612-0001": {}, "menu": {}, "0001a": {}, "1234567890123": {},
	} {
		digits, whole, ok := FactorDigits(text)
		if digits != want.digits || whole != want.whole || ok != (want.digits != "") {
			t.Errorf("%q: %q %v %v, want %+v", text, digits, whole, ok, want)
		}
	}
}
