package privacy

import (
	"regexp"
	"testing"
)

func TestReceiptsAreShortAndDiffer(t *testing.T) {
	form := regexp.MustCompile(`^[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}$`)
	seen := map[string]bool{}
	for range 1000 {
		r := Receipt()
		if !form.MatchString(r) || seen[r] {
			t.Fatalf("receipt %q", r)
		}
		seen[r] = true
	}
}
