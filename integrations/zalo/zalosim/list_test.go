package zalosim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestUserList(t *testing.T) {
	morning := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	b := start(t, Options{Clock: NewFrozenClock(morning.AddDate(0, 0, -40)), AccessTokenLife: 90 * 24 * time.Hour, RatePerMinute: -1})
	// Who wrote how many days ago.
	for _, days := range []int{40, 29, 6, 1, 0} {
		b.Clock().Advance(morning.AddDate(0, 0, -days).Sub(b.Clock().Now()))
		b.SendText(fmt.Sprint(100+days), "chào")
	}
	b.AddUser(User{ID: "200", Follows: true})
	b.call("POST", PathTag, `{"user_id":"101","tag_name":"Hoa Lư"}`)
	for data, want := range map[string]string{
		`{"offset":0,"count":50}`:                                                   "140 129 106 101 100 200",
		`{"offset":0,"count":2}`:                                                    "140 129",
		`{"offset":4,"count":2}`:                                                    "100 200",
		`{"offset":9,"count":2}`:                                                    "",
		`{"offset":0,"count":50,"last_interaction_period":"TODAY"}`:                 "100",
		`{"offset":0,"count":50,"last_interaction_period":"YESTERDAY"}`:             "101",
		`{"offset":0,"count":50,"last_interaction_period":"L7D"}`:                   "106 101 100",
		`{"offset":0,"count":50,"last_interaction_period":"L30D"}`:                  "129 106 101 100",
		`{"offset":0,"count":50,"last_interaction_period":"2026_10_14:2026_11_17"}`: "140 129 106",
		`{"offset":0,"count":50,"is_follower":"true"}`:                              "200",
		`{"offset":0,"count":50,"is_follower":"false","tag_name":"Hoa Lư"}`:         "101",
	} {
		var got struct {
			Total, Count, Offset int
			Users                []struct {
				ID string `json:"user_id"`
			}
		}
		a := b.call("GET", PathUsers, data)
		if err := json.Unmarshal(a.Data, &got); err != nil {
			t.Errorf("%s: %d %s, %v", data, a.Error, a.Message, err)
		}
		var ids []string
		for _, u := range got.Users {
			ids = append(ids, u.ID)
		}
		if strings.Join(ids, " ") != want || got.Count != len(ids) || !strings.Contains(data, "period") && !strings.Contains(data, "is_") && got.Total != 6 {
			t.Errorf("%s: %v of %d, want %s", data, ids, got.Total, want)
		}
	}
	for data, code := range map[string]int{
		`{"offset":0,"count":51}`:                                                  -210,
		`{"offset":9951,"count":1}`:                                                0,
		`{"offset":9952,"count":1}`:                                                -210,
		`{"offset":0,"count":0}`:                                                   -201,
		`{"offset":-1,"count":1}`:                                                  -201,
		`{"offset":0,"count":1,"is_follower":true}`:                                -201,
		`{"offset":0,"count":1,"is_follower":"yes"}`:                               -201,
		`{"offset":0,"count":1,"last_interaction_period":"L90D"}`:                  -201,
		`{"offset":0,"count":1,"last_interaction_period":"2026_11_23:2026_11_01"}`: -201,
		``: -201,
	} {
		if a := b.call("GET", PathUsers, data); a.Error != code {
			t.Errorf("%s: %d, want %d", data, a.Error, code)
		}
	}
	if a := b.call("POST", PathQuota, `{"quota_owner":"OA","product_type":"cs"}`); !strings.Contains(string(a.Data), `"quota_type":"sub_quota"`) {
		t.Errorf("quotas %s", a.Data)
	}
}
