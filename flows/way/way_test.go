package way_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot"
	_ "congdanso/bot/bottest" // so that "go test ./flows/... -update" knows the flag here too
	"congdanso/flows/way"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]bot.Choice{
		"Lưu hồ sơ": {Title: "Lưu hồ sơ", Payload: "#x.y"},
		"Báo | Báo khi xem được | báo, ừ": {Title: "Báo", Label: "Báo khi xem được", Words: []string{"báo", "ừ"}, Payload: "#x.y"},
		"Có | | ok,, vâng ":               {Title: "Có", Words: []string{"ok", "vâng"}, Payload: "#x.y"},
	} {
		if diff := cmp.Diff(want, way.Parse(line, "#x.y")); diff != "" {
			t.Errorf("%q:\n%s", line, diff)
		}
	}
}

// texts says one text for every key.
type texts string

func (s texts) Text(string, string, map[string]any) string { return string(s) }
func (s texts) Moment(string, time.Time, time.Time) string { return "" }
func (s texts) Day(string, time.Time) string               { return "" }

// A changed word is another version, and so is another language.
func TestConsentVersions(t *testing.T) {
	version := func(lang, text string) string {
		_, v := way.Consent(&bot.Turn{Citizen: bot.Citizen{Language: lang}, Texts: texts(text)}, "x.consent")
		return v
	}
	a := version("vi", "Kênh giữ mã hồ sơ.")
	if a != version("vi", "Kênh giữ mã hồ sơ.") {
		t.Error("the same text has two versions")
	}
	if a == version("vi", "Kênh giữ mã hồ sơ và tên.") || a == version("en", "Kênh giữ mã hồ sơ.") {
		t.Error("two texts have one version")
	}
	if !strings.HasPrefix(a, "x.consent/vi/") {
		t.Errorf("version %q does not name its text", a)
	}
}
