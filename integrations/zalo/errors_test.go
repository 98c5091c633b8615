package zalo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"congdanso/bot/delivery"
)

// Every code of Zalo's two tables, with what it asks for.
func TestEveryCodeHasItsClass(t *testing.T) {
	const (
		notSent = delivery.ClassNotSent
		wait    = delivery.ClassWait
		quota   = delivery.ClassQuota
		night   = delivery.ClassNight
		window  = delivery.ClassWindow
		human   = delivery.ClassHuman
		drop    = delivery.ClassDrop
	)
	oa := map[delivery.Class][]int{
		notSent:                {-32, -216, -220, -124},
		delivery.ClassReupload: {-100},
		wait:                   {-200, -214},
		quota:                  {-211, -218},
		night:                  {-234},
		window:                 {-230, -232},
		human:                  {-204, -205, -209, -212, -219, -221, -223, -224, -235, -242, -320, -321},
		drop: {-201, -210, -213, -217, -227, -233, -237, -238, -241, -240, -244, -248, -249, -403,
			-1340, -1341},
	}
	phone := map[delivery.Class][]int{
		notSent: {-124, -216, -220, -32},
		wait:    {-100},
		human: {-101, -102, -103, -104, -105, -1091, -115, -137, -117, -120, -1201, -1202, -135, -1351, -136, -138,
			-1381, -145, -123, -128, -129, -142, -143, -151, -152, -1241, -131, -146},
		drop: {-106, -107, -109, -111, -112, -113, -1131, -1132, -116, -121, -122, -125, -130, -132, -153, -158, -159,
			-161, -162, -108, -110, -1121, -1122, -1123, -1124, -114, -118, -119, -127, -134, -139, -140, -141,
			-148, -149, -1491, -150},
		night: {-133},
		quota: {-126, -144, -1441, -147, -1471, -1472, -160},
	}
	for h, table := range map[host]map[delivery.Class][]int{hostOA: oa, hostPhone: phone} {
		n := 0
		for want, codes := range table {
			for _, code := range codes {
				n++
				if got, known := classOf(h, code, ""); got != want || !known {
					t.Errorf("host %d, %d: %s (known %v), want %s", h, code, got, known, want)
				}
			}
		}
		have := len(oaClasses)
		if h == hostPhone {
			have = len(phoneClasses)
		}
		if have != n {
			t.Errorf("host %d: %d codes are classified, this test knows %d", h, have, n)
		}
	}
	// By user id the account's codes hold, and for the template those by phone.
	for code, want := range map[int]delivery.Class{
		-227: drop, -217: drop, -249: drop, -211: quota, -204: human, -234: night, -320: human, -32: notSent,
		-131: human, -146: human, -1121: drop, -1122: drop, -1124: drop, -144: quota, -100: wait, -124: notSent,
	} {
		if got, known := classOf(hostTemplate, code, ""); got != want || !known {
			t.Errorf("template by user id, %d: %s (known %v), want %s", code, got, known, want)
		}
	}
	if got, known := classOf(hostTemplate, -999999, ""); got != wait || known {
		t.Errorf("an unknown code: %s, known %v; want a few more tries", got, known)
	}
	if got, known := classOf(hostOA, -999999, ""); got != wait || known {
		t.Errorf("an unknown code: %s, known %v; want a few more tries", got, known)
	}
	if got, _ := classOf(hostOA, -223, "OA has reached the article QUOTA"); got != quota {
		t.Errorf("-223 with a quota: %s", got)
	}
	if got, _ := classOf(hostOA, -223, "OA has not authorized this API"); got != human {
		t.Errorf("-223 with a right: %s", got)
	}
}

func TestRefusalsKeepNumbersOut(t *testing.T) {
	ref, _ := refusal(hostOA, -201, "user_id 2512345678901234567 is invalid!\nphone 84912345678")
	if strings.Contains(ref.Message, "12345") || strings.Contains(ref.Message, "\n") || !strings.HasPrefix(ref.Message, "user_id 2512… is invalid!") {
		t.Errorf("message %q", ref.Message)
	}
	if ref, _ := refusal(hostOA, -200, strings.Repeat("x", 5000)); len(ref.Message) > 200 {
		t.Errorf("message of %d bytes", len(ref.Message))
	}
	if ref, _ := refusal(hostOA, -32, "limit"); ref.RetryAfter <= 0 {
		t.Error("-32 does not say to wait")
	}
	if ref, _ := refusal(hostOA, -214, ""); ref.RetryAfter <= 0 {
		t.Error("-214 does not say to wait")
	}
}

func TestDecodeAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		code int
		id   string
		err  bool
	}{
		"success":           {`{"data":{"message_id":"b1","sent_time":"1795401601000"},"error":0,"message":"Success"}`, 0, "b1", false},
		"code as text":      {`{"error":"-216","message":"Access token is invalid"}`, -216, "", false},
		"success as text":   {`{"error":"0","data":{"message_id":"b1"}}`, 0, "b1", false},
		"id as number":      {`{"error":0,"data":{"message_id":123,"sent_time":1795401601000}}`, 0, "123", false},
		"null data":         {`{"error":0,"data":null}`, 0, "", false},
		"error, odd data":   {`{"error":-230,"data":[],"message":"x"}`, -230, "", false},
		"success, odd data": {`{"error":0,"data":[]}`, 0, "", true},
		"odd times":         {`{"error":0,"data":{"message_id":"b1","sent_time":"soon"}}`, 0, "b1", false},
		"no error":          {`{"data":{"message_id":"b1"}}`, 0, "", true},
		"null error":        {`{"error":null,"data":{}}`, 0, "", true},
		"error in words":    {`{"error":"invalid","data":{}}`, 0, "", true},
		"error an object":   {`{"error":{"code":5}}`, 0, "", true},
		"HTML":              {`<html><body>502 Bad Gateway</body></html>`, 0, "", true},
		"empty":             {``, 0, "", true},
		"cut short":         {`{"data":{"message_id":"b1"},"error":`, 0, "", true},
		"an array":          {`[]`, 0, "", true},
		"a word":            {`null`, 0, "", true},
		"two answers":       {`{"error":0}{"error":0}`, 0, "", true},
		"a fraction":        {`{"error":-216.5}`, 0, "", true},
		"beyond every int":  {`{"error":99999999999999999999}`, 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var env envelope[sent]
			code, err := decode([]byte(tt.body), &env)
			if code != tt.code || (err != nil) != tt.err {
				t.Errorf("code %d, error %v; want %d, error %v", code, err, tt.code, tt.err)
			}
			if err == nil && string(env.Data.MessageID) != tt.id {
				t.Errorf("id %q, want %q", env.Data.MessageID, tt.id)
			}
		})
	}
}

// Garbage never counts as taken, and nothing makes the decoder fall over.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"data":{"message_id":"b1","sent_time":"1795401601000"},"error":0,"message":"Success"}`,
		`{"error":"-216"}`, `{"error":-230,"data":[]}`, `<html>`, `{"error":null}`, `{"error":0,"data":{"message_id":5}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var env envelope[sent]
		code, err := decode(body, &env)
		if err == nil && code == 0 {
			var plain struct {
				Error json.RawMessage `json:"error"`
			}
			if json.Unmarshal(body, &plain) != nil || len(plain.Error) == 0 || string(plain.Error) == "null" {
				t.Errorf("%q counts as taken", body)
			}
		}
		if at := env.Data.SentTime.time(); !at.IsZero() && at.Before(time.Unix(0, 0)) {
			t.Errorf("%q was sent at %s", body, at)
		}
		_, err = decodePair(200, body)
		var p pair
		if err == nil {
			p, _ = decodePair(200, body)
			if p.access == "" || p.life <= 0 {
				t.Errorf("%q gives a pair %+v", body, p)
			}
		}
		clean(string(body))
	})
}

func TestDecodePair(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want pair
		code int
		dead bool
		open bool // nobody knows what Zalo did
	}{
		"text":            {body: `{"access_token":"A","refresh_token":"R","expires_in":"90000"}`, want: pair{"A", "R", 25 * time.Hour}},
		"number":          {body: `{"access_token":"A","refresh_token":"R","expires_in":3600}`, want: pair{"A", "R", time.Hour}},
		"no refresh":      {body: `{"access_token":"A","expires_in":"90000"}`, want: pair{"A", "", 25 * time.Hour}},
		"odd life":        {body: `{"access_token":"A","refresh_token":"R","expires_in":"soon"}`, want: pair{"A", "R", time.Hour}},
		"no life":         {body: `{"access_token":"A","refresh_token":"R"}`, want: pair{"A", "R", time.Hour}},
		"dead":            {body: `{"error":-14014,"error_name":"Invalid refresh token.","error_reason":"","error_description":"x"}`, code: -14014, dead: true},
		"dead by name":    {body: `{"error_name":"Invalid refresh token."}`, dead: true},
		"secret":          {body: `{"error":-14004,"error_name":"Invalid secret key."}`, code: -14004},
		"code as text":    {body: `{"error":"-14002","error_name":"Invalid appId"}`, code: -14002},
		"only a number":   {body: `{"error":-14014,"message":"x"}`, code: -14014, dead: true},
		"HTML":            {body: `<html>`, open: true},
		"cut short":       {body: `{"access_token":"A","refr`, open: true},
		"nothing":         {body: `{}`, open: true},
		"an empty answer": {body: ``, open: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodePair(200, []byte(tt.body))
			if got != tt.want {
				t.Errorf("pair %+v, want %+v", got, tt.want)
			}
			grant := grantOf(err)
			if tt.open != isUncertain(err) {
				t.Errorf("error %v; unknown outcome wanted: %v", err, tt.open)
			}
			if refused := tt.code != 0 || tt.dead; refused != (grant != nil) {
				t.Fatalf("error %v; refusal wanted: %v", err, refused)
			}
			if grant != nil && (grant.Code != tt.code || grant.Dead() != tt.dead || grant.Error() == "") {
				t.Errorf("refusal %+v, dead %v; want %d, %v", grant, grant.Dead(), tt.code, tt.dead)
			}
		})
	}
}
