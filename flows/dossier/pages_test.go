package dossier

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever officers write, every word of it is on some page, in order, and each
// page fits one message.
func TestPagesKeepEveryWord(t *testing.T) {
	word := rapid.StringMatching(`[a-zà-ỹ]{1,12}[.,;]?`)
	block := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 0, 500).Draw(t, "words"), rapid.SampledFrom([]string{" ", "\n"}).Draw(t, "gap"))
	})
	rapid.Check(t, func(t *rapid.T) {
		blocks := rapid.SliceOfN(block, 0, 6).Draw(t, "blocks")
		all := pages(blocks)
		want := strings.Fields(strings.Join(blocks, " "))
		got := strings.Fields(strings.Join(all, " "))
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("words differ: %d of %d", len(got), len(want))
		}
		for _, page := range all {
			if n := len([]rune(page)); n > pageSize {
				t.Fatalf("a page of %d characters", n)
			}
		}
	})
}

// A word longer than a page is cut rather than lost.
func TestPagesCutWhatHasNoGaps(t *testing.T) {
	long := strings.Repeat("ư", 2*pageSize+10)
	all := pages([]string{"đầu", long, "cuối"})
	if got := strings.Count(strings.Join(all, ""), "ư"); got != 2*pageSize+10 {
		t.Errorf("%d letters left", got)
	}
	if len(all) > 4 || !strings.HasPrefix(all[0], "đầu") || !strings.HasSuffix(all[len(all)-1], "cuối") {
		t.Errorf("%d pages", len(all))
	}
}

func TestPageNumbersTypedByHand(t *testing.T) {
	for arg, want := range map[string]int{"": 1, "0": 1, "2": 2, "-3": 1, "x": 1, "99999999999999999999": 1, "12": 12} {
		if got := page(arg); got != want {
			t.Errorf("page(%q) = %d, want %d", arg, got, want)
		}
	}
}

func TestCodesFitButtons(t *testing.T) {
	if got := codeTitle("H42.16-240612-0001"); got != "H42.16-240612-0001" {
		t.Errorf("short: %q", got)
	}
	if got := codeTitle("000.00.16.H42-240612-0001"); got != "…16.H42-240612-0001" && len([]rune(got)) != 20 {
		t.Errorf("long: %q", got)
	}
}
