package understand

import (
	"os"
	"strings"
	"testing"

	"congdanso/bot/fold"
	"congdanso/content"
)

func TestExplain(t *testing.T) {
	u, err := New(content.Files(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range strings.Split(os.Getenv("EXPLAIN"), "|") {
		got, why := u.explain(s)
		t.Log(s, "=>", got)
		for _, r := range why {
			if r.score > 0 {
				t.Logf("    %s %.1f %.2f %s", u.outcomes[r.outcome].intent, r.score, r.share, r.text)
			}
		}
		sen := u.sentence(fold.Tone(s))
		for c, fs := range sen.found {
			for _, f := range fs {
				t.Log("    concept", c, u.nameOf(c), f.from, f.to, f.cost)
			}
		}
		for i, g := range u.guards {
			if sen.any([]pattern{g}) {
				t.Log("    guard left", i)
			}
		}
		for o := range u.outcomes {
			for i, p := range u.outcomes[o].unless {
				if sen.any([]pattern{p}) {
					t.Log("    unless", u.outcomes[o].intent, i)
				}
			}
		}
	}
}

func (u *Understander) nameOf(c int) string {
	for _, es := range u.trie.ends {
		for _, e := range es {
			if e.concept == c {
				return strings.Join(e.words, " ")
			}
		}
	}
	return ""
}
