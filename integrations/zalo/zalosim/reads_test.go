package zalosim

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestChatCalls(t *testing.T) {
	b := start(t, Options{})
	b.AddUser(User{ID: lan, Name: "Nguyễn Thị Lan"})
	for i := range 12 {
		b.SendText(lan, fmt.Sprint(i))
		b.Clock().Advance(time.Millisecond)
	}
	b.SendMedia(minh, "image", "", "https://photo.talk.zdn.vn/f.jpg")
	b.Clock().Advance(time.Millisecond)
	b.say(lan, "trả lời")

	type item struct {
		Src     int    `json:"src"`
		Time    int64  `json:"time"`
		Type    string `json:"type"`
		Message string `json:"message"`
		ID      string `json:"message_id"`
		From    string `json:"from_id"`
		To      string `json:"to_id"`
		Name    string `json:"from_display_name"`
		URL     string `json:"url"`
	}
	read := func(path, data string) (items []item) {
		t.Helper()
		a := b.call("GET", path, data)
		if err := json.Unmarshal(a.Data, &items); err != nil {
			t.Fatalf("%v: data is a bare array: %s", err, a.Data)
		}
		return items
	}
	recent := read(PathRecent, `{"offset":0,"count":10}`)
	if len(recent) != 2 || recent[0].Message != "trả lời" || recent[0].Src != 0 || recent[0].To != lan ||
		recent[1].From != minh || recent[1].Type != "photo" || recent[1].URL == "" || recent[0].Time <= recent[1].Time {
		t.Errorf("recent chats %+v", recent)
	}
	if got := read(PathRecent, `{"offset":1,"count":1}`); len(got) != 1 || got[0].From != minh {
		t.Errorf("second page %+v", got)
	}
	first := read(PathConversation, `{"user_id":"`+lan+`","offset":0,"count":10}`)
	rest := read(PathConversation, `{"user_id":"`+lan+`","offset":10,"count":10}`)
	if len(first) != 10 || len(rest) != 3 || first[1].Message != "11" || rest[2].Message != "0" ||
		first[1].Src != 1 || first[1].Name != "Nguyễn Thị Lan" || first[1].Time != noon.UnixMilli()+11 {
		t.Errorf("conversation %+v … %+v", first, rest)
	}
	for _, tt := range []struct {
		path, data string
		code       int
	}{
		{PathRecent, `{"offset":0,"count":11}`, -210},
		{PathRecent, `{"offset":0}`, -201},
		{PathRecent, `nope`, -201},
		{PathConversation, `{"user_id":"1","offset":0,"count":1}`, -201},
		{PathConversation, `{"offset":0,"count":1}`, -201},
	} {
		if a := b.call("GET", tt.path, tt.data); a.Error != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.path, tt.data, a.Error, tt.code)
		}
	}
}

func TestPeopleCalls(t *testing.T) {
	b := start(t, Options{})
	b.AddUser(User{ID: lan, Name: "Lan", AvatarURL: "https://a.zadn.vn/l.jpg"})
	b.Follow(lan)
	b.SubmitInfo(lan, Info{Name: "Nguyễn Thị Lan", Phone: "84912345678"})
	if a := b.call("POST", PathTag, `{"user_id":"`+lan+`","tag_name":"cần người"}`); a.Error != 0 {
		t.Fatalf("tag: %d %s", a.Error, a.Message)
	}
	if a := b.call("POST", PathTag, `{"user_id":`+lan+`,"tag_name":"cần người"}`); a.Error != 0 {
		t.Errorf("tag with a number for an id: %d", a.Error)
	}
	if got := b.Tags(lan); len(got) != 1 || got[0] != "cần người" {
		t.Errorf("tags %q", got)
	}
	if a := b.call("GET", PathTags, ""); string(a.Data) != `["cần người"]` {
		t.Errorf("tags of the account %s", a.Data)
	}
	var d struct {
		Name     string `json:"display_name"`
		Day      string `json:"user_last_interaction_date"`
		Follower bool   `json:"user_is_follower"`
		Tags     struct {
			Names []string `json:"tag_names"`
		} `json:"tags_and_notes_info"`
		Shared struct {
			Phone string `json:"phone"`
		} `json:"shared_info"`
	}
	read := func() { json.Unmarshal(b.call("GET", PathUser, `{"user_id":"`+lan+`"}`).Data, &d) }
	read()
	if d.Name != "Lan" || d.Day != "23/11/2026" || !d.Follower || len(d.Tags.Names) != 1 || d.Shared.Phone != "84912345678" {
		t.Errorf("detail %+v", d)
	}
	if a := b.call("POST", PathUntag, `{"user_id":"`+lan+`","tag_name":"cần người"}`); a.Error != 0 || len(b.Tags(lan)) != 0 {
		t.Errorf("untag: %d, left %q", a.Error, b.Tags(lan))
	}
	if a := b.call("POST", PathForget, `{"user_id":"`+lan+`"}`); a.Error != 0 || !b.Forgotten(lan) {
		t.Errorf("forget: %d, forgotten %v", a.Error, b.Forgotten(lan))
	}
	read()
	if d.Shared.Phone != "" {
		t.Errorf("phone %q is still there", d.Shared.Phone)
	}
	for _, tt := range [][2]string{{PathTag, `{"user_id":"` + lan + `"}`}, {PathTag, `{"user_id":"1","tag_name":"a"}`}, {PathForget, `{}`}, {PathQuota, `{}`}} {
		if a := b.call("POST", tt[0], tt[1]); a.Error != -201 {
			t.Errorf("%s %s: %d, want -201", tt[0], tt[1], a.Error)
		}
	}
	b.settle()
	if got, want := b.door.names(), "follow user_submit_info add_user_to_tag remove_user_from_tag"; got != want {
		t.Errorf("webhooks %q, want %q", got, want)
	}
}

func TestQuotaAndAccount(t *testing.T) {
	b := start(t, Options{PaidMessages: 7})
	b.SendText(lan, "a")
	a := b.call("POST", PathQuota, `{"user_id":"`+lan+`"}`)
	if !strings.Contains(string(a.Data), `"last_interaction":"1795401600000"`) {
		t.Errorf("quota %s", a.Data)
	}
	a = b.call("POST", PathQuota, `{"quota_owner":"OA","product_type":"cs","quota_type":"sub_quota"}`)
	if !strings.Contains(string(a.Data), `"remain":"7"`) {
		t.Errorf("package quota %s", a.Data)
	}
	a = b.call("GET", PathOA, "")
	for _, want := range []string{`"oaid":"3612345678901234567"`, `"oa_id":"3612345678901234567"`, `"oa_type":4`, `"is_verified":true`} {
		if !strings.Contains(string(a.Data), want) {
			t.Errorf("account %s lacks %s", a.Data, want)
		}
	}
}

func TestTokens(t *testing.T) {
	b := start(t, Options{})
	b.SendText(lan, "a")
	ask := func(secret, form string) (access, refresh string, code int, raw string) {
		t.Helper()
		return askToken(t, b, secret, form)
	}
	refresh := func(token string) string {
		return url.Values{"app_id": {ExampleAppID}, "grant_type": {"refresh_token"}, "refresh_token": {token}}.Encode()
	}
	seed := b.RefreshToken()
	a1, r1, _, raw := ask(ExampleAppSecret, refresh(seed))
	if a1 == "" || r1 == "" || !strings.Contains(raw, `"expires_in":"90000"`) {
		t.Fatalf("refresh: %s", raw)
	}
	a2, r2, _, _ := ask(ExampleAppSecret, refresh(r1))
	if a2 == a1 || r2 == r1 || b.Refreshes() != 2 {
		t.Errorf("the pair did not change, or %d refreshes", b.Refreshes())
	}
	b.token = a1
	if a := b.say(lan, "x"); a.Error != -220 {
		t.Errorf("a replaced token: %d, want -220", a.Error)
	}
	b.token = "never"
	if a := b.say(lan, "x"); a.Error != -216 {
		t.Errorf("an unknown token: %d, want -216", a.Error)
	}
	b.token = a2
	if a := b.say(lan, "x"); a.Error != 0 {
		t.Errorf("the new token: %d %s", a.Error, a.Message)
	}
	for name, tt := range map[string]struct {
		secret, form string
		code         int
	}{
		"used refresh token":    {ExampleAppSecret, refresh(r1), -14014},
		"unknown refresh token": {ExampleAppSecret, refresh("x"), -14014},
		"secret":                {"x", refresh(r2), -14004},
		"app":                   {ExampleAppSecret, "app_id=1&grant_type=refresh_token&refresh_token=" + r2, -14002},
		"grant":                 {ExampleAppSecret, "app_id=" + ExampleAppID + "&grant_type=password", -14018},
		"code":                  {ExampleAppSecret, "app_id=" + ExampleAppID + "&grant_type=authorization_code&code=x", -14005},
	} {
		if access, _, code, raw := ask(tt.secret, tt.form); access != "" || code != tt.code || !strings.Contains(raw, `"error_name":`) {
			t.Errorf("%s: %s, want %d with error_name", name, raw, tt.code)
		}
	}
	b.Clock().Advance(25 * time.Hour)
	if a := b.say(lan, "x"); a.Error != -220 {
		t.Errorf("after 25 h: %d, want -220", a.Error)
	}
	b.Clock().Advance(90 * 24 * time.Hour)
	if _, _, code, _ := ask(ExampleAppSecret, refresh(r2)); code != -14014 {
		t.Errorf("after three months: %d, want -14014", code)
	}
}

func askToken(t *testing.T, b *bench, secret, form string) (access, refresh string, code int, raw string) {
	t.Helper()
	status, body, err := postForm(b.url+PathToken, secret, form)
	if err != nil || status != 200 {
		t.Fatalf("token call: %d %v; failures are HTTP 200 too", status, err)
	}
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   int    `json:"error"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	return got.Access, got.Refresh, got.Error, string(body)
}

func TestConsent(t *testing.T) {
	b := start(t, Options{})
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	form := func(code, verifier string) string {
		return url.Values{"app_id": {ExampleAppID}, "grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}}.Encode()
	}
	code := b.AuthCode(challenge)
	if access, refresh, _, raw := askToken(t, b, ExampleAppSecret, form(code, verifier)); access == "" || refresh == "" {
		t.Errorf("exchange: %s", raw)
	}
	if _, _, got, _ := askToken(t, b, ExampleAppSecret, form(code, verifier)); got != -14005 {
		t.Errorf("the code a second time: %d, want -14005", got)
	}
	if _, _, got, _ := askToken(t, b, ExampleAppSecret, form(b.AuthCode(challenge), "x")); got != -14005 {
		t.Errorf("a wrong verifier: %d, want -14005", got)
	}
	late := b.AuthCode(challenge)
	b.Clock().Advance(10 * time.Minute)
	if _, _, got, _ := askToken(t, b, ExampleAppSecret, form(late, verifier)); got != -14005 {
		t.Errorf("after ten minutes: %d, want -14005", got)
	}
}

func TestTokenOptions(t *testing.T) {
	b := start(t, Options{NumericExpiry: true, KeepRefreshToken: true, NamedOAuthErrors: true, RequireProof: true,
		UnknownTokenCode: -220, StaleTokenCode: -216, AppSecret: "app-secret-EXAMPLE"})
	b.SendText(lan, "a")
	seed := b.RefreshToken()
	form := "app_id=" + ExampleAppID + "&grant_type=refresh_token&refresh_token="
	_, refresh, _, raw := askToken(t, b, ExampleAppSecret, form+seed)
	if refresh != "" || !strings.Contains(raw, `"expires_in":90000`) {
		t.Errorf("answer %s, want a number and no refresh token", raw)
	}
	if access, _, _, raw := askToken(t, b, ExampleAppSecret, form+seed); access == "" {
		t.Errorf("the kept refresh token a second time: %s", raw)
	}
	if _, _, code, raw := askToken(t, b, ExampleAppSecret, form+"x"); code != 0 || !strings.Contains(raw, "Invalid refresh token.") {
		t.Errorf("answer %s, want a name and no number", raw)
	}
	if a := b.say(lan, "x"); a.Error != -242 {
		t.Errorf("without proof: %d, want -242", a.Error)
	}
	b.token = "never"
	if a := b.say(lan, "x"); a.Error != -220 {
		t.Errorf("unknown token: %d, want what the setting says", a.Error)
	}
	b.token = b.AccessToken()
	b.RevokeGrants()
	if a := b.say(lan, "x"); a.Error != -220 {
		t.Errorf("revoked token: %d, want it unknown", a.Error)
	}
	b.token = b.AccessToken()
	b.ExpireAccess()
	if a := b.say(lan, "x"); a.Error != -216 {
		t.Errorf("expired token: %d, want what the setting says", a.Error)
	}
}
