package zalosim

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func postForm(target, secret, form string) (int, []byte, error) {
	req, err := http.NewRequest("POST", target, strings.NewReader(form))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("secret_key", secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

func TestSubscribersNeverHoldTheStandInUp(t *testing.T) {
	b := start(t, Options{RatePerMinute: -1})
	idle, cancel := b.Subscribe()
	defer cancel()
	for range 1000 { // far more than the channel holds; nobody reads
		b.SendText(lan, "a")
	}
	if u := <-idle; u.Kind != UpdateChat || u.User != lan {
		t.Errorf("first update %+v", u)
	}
	updates, cancel2 := b.Subscribe()
	b.say(lan, "x")
	kinds := map[UpdateKind]bool{}
	for !kinds[UpdateCall] || !kinds[UpdateChat] {
		u := <-updates
		kinds[u.Kind] = true
	}
	cancel2()
	cancel2()
	for range updates { // closed
	}
}

func TestLogsAreBounded(t *testing.T) {
	b := start(t, Options{KeepLog: 10, KeepMessages: 20, RatePerMinute: -1})
	for i := range 100 {
		b.SendText(lan, fmt.Sprint(i))
	}
	b.settle()
	for i := range 15 {
		b.say(lan, fmt.Sprint("r", i))
	}
	calls := b.Calls()
	if len(calls) != 10 || !strings.Contains(calls[9].Request, "r14") || !strings.Contains(calls[0].Request, "r5") || calls[9].Status != 200 || calls[9].User != lan {
		t.Errorf("%d calls, last %+v", len(calls), calls[len(calls)-1])
	}
	if got := len(b.Webhooks()); got != 10 {
		t.Errorf("%d webhooks kept, want 10", got)
	}
	chat := b.Messages(lan)
	if len(chat) < 20 || len(chat) > 26 || chat[len(chat)-1].Text != "r14" {
		t.Errorf("%d messages kept, want about 20, the newest last", len(chat))
	}
	if b.CallCount(PathSend) != 15 {
		t.Errorf("%d calls counted, want 15", b.CallCount(PathSend))
	}
	b = start(t, Options{KeepLog: -1, KeepMessages: -1})
	b.SendText(lan, "a")
	b.say(lan, "x")
	b.settle()
	if len(b.Calls())+len(b.Webhooks())+len(b.Messages(lan)) != 0 {
		t.Error("something was kept where nothing should be")
	}
	if a := b.call("GET", PathRecent, `{"offset":0,"count":10}`); string(a.Data) != "[]" {
		t.Errorf("recent chats %s, want an empty array", a.Data)
	}
}

func TestCallLogKeepsTokensOut(t *testing.T) {
	b := start(t, Options{})
	seed := b.RefreshToken()
	access, refresh, _, _ := askToken(t, b, ExampleAppSecret, "app_id="+ExampleAppID+"&grant_type=refresh_token&refresh_token="+seed)
	for _, c := range b.Calls() {
		for _, secret := range []string{seed, access, refresh, ExampleAppSecret} {
			if strings.Contains(fmt.Sprintf("%+v", c), secret) {
				t.Errorf("a token stands in %+v", c)
			}
		}
	}
}
