package webhook

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot"
)

func TestDecodeEveryEvent(t *testing.T) {
	at := now.Add(24 * time.Hour) // accepted
	signed := time.UnixMilli(1795401600000).UTC()
	user := bot.CitizenID{OA: oaID, User: userID}
	none := bot.CitizenID{OA: oaID}
	pic := `"attachments":[{"type":"image","payload":{"thumbnail":"https://photo.talk.zdn.vn/t.jpg","url":"https://photo.talk.zdn.vn/f.jpg"}}]`
	for _, tt := range []struct {
		name, rest string
		who        bot.CitizenID
		id         string
		body       bot.Body
	}{
		{"user_send_text", fromUser + `,"message":{"msg_id":"m1","text":"chào","quote_msg_id":"q"}`, user, "user_send:m1", bot.Text{MsgID: "m1", Text: "chào", Quoted: "q"}},
		{"user_send_text", fromUser + `,"message":{"msg_id":"m1","text":"a\u0000b"}`, user, "user_send:m1", bot.Text{MsgID: "m1", Text: "a\x00b"}},
		{"user_send_image", fromUser + `,"message":{"msg_id":"m1","text":"giấy hẹn của tôi",` + pic + `}`, user, "user_send:m1",
			bot.Media{MsgID: "m1", Kind: bot.MediaImage, Text: "giấy hẹn của tôi", URL: "https://photo.talk.zdn.vn/f.jpg"}},
		{"user_send_image", fromUser + `,"message":{"msg_id":"m1","attachments":[{"type":"image","payload":{"url":"https://evil.example/zdn.vn"}}]}`, user, "user_send:m1",
			bot.Media{MsgID: "m1", Kind: bot.MediaImage}},
		{"user_send_image", fromUser + `,"message":{"msg_id":"m1","attachments":[{"type":"image","payload":{"url":"https://x@photo.zdn.vn/"}}]}`, user, "user_send:m1",
			bot.Media{MsgID: "m1", Kind: bot.MediaImage}},
		{"user_send_gif", fromUser + `,"message":{"msg_id":"m1"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaGIF}},
		{"user_send_link", fromUser + `,"message":{"msg_id":"m1","text":"xem https://a.vn"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaLink, Text: "xem https://a.vn"}},
		{"user_send_audio", fromUser + `,"message":{"msg_id":"m1"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaAudio}},
		{"user_send_video", fromUser + `,"message":{"msg_id":"m1"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaVideo}},
		{"user_send_sticker", fromUser + `,"message":{"msg_id":"m1"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaSticker}},
		{"user_send_business_card", fromUser + `,"message":{"msg_id":"m1"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaCard}},
		{"user_send_file", fromUser + `,"message":{"msg_id":"m1","attachments":[{"type":"file","payload":{"url":"http://file.zadn.vn/a","name":"a.pdf","size":"12"}}]}`, user, "user_send:m1",
			bot.Media{MsgID: "m1", Kind: bot.MediaFile, URL: "http://file.zadn.vn/a", Name: "a.pdf"}},
		{"user_send_hologram", fromUser + `,"message":{"msg_id":"m1"}`, user, "user_send:m1", bot.Media{MsgID: "m1", Kind: bot.MediaOther}},
		{"user_send_location", fromUser + `,"message":{"msg_id":"m1","attachments":[{"type":"location","payload":{"coordinates":{"latitude":"20.2506","longitude":"105.9745"}}}]}`, user, "user_send:m1",
			bot.Location{MsgID: "m1", Latitude: "20.2506", Longitude: "105.9745"}},
		{"follow", `"oa_id":"3612345678901234567","follower":{"id":"2512345678901234567"},"source":"oa_profile"`, user, "follow:" + userID + "::1795401600000", bot.Followed{Source: "oa_profile"}},
		{"unfollow", `"oa_id":"3612345678901234567","follower":{"id":"2512345678901234567"}`, user, "unfollow:" + userID + "::1795401600000", bot.Unfollowed{}},
		{"user_click_chatnow", `"oa_id":"3612345678901234567","user_id":"2512345678901234567"`, user, "user_click_chatnow:" + userID + "::1795401600000", bot.ChatOpened{}},
		{"user_submit_info", fromUser + `,"info":{"name":"Nguyễn Văn A","phone":84912345678,"user_dob":"30/10/1999","full_address":{"user_city":"Tỉnh Ninh Bình","user_ward":"Phường Hoa Lư","user_address":"Số 1"}}`, user, "user_submit_info:" + userID + "::1795401600000",
			bot.InfoSubmitted{Name: "Nguyễn Văn A", Phone: "84912345678", City: "Tỉnh Ninh Bình", Ward: "Phường Hoa Lư", Address: "Số 1"}},
		{"user_submit_info", fromUser + `,"info":{"phone":"84912345678","city":"Ninh Bình","ward":"Hoa Lư"}`, user, "user_submit_info:" + userID + "::1795401600000",
			bot.InfoSubmitted{Phone: "84912345678", City: "Ninh Bình", Ward: "Hoa Lư"}},
		{"user_withdraw", `"oa_id":"3612345678901234567","user_id":"2512345678901234567"`, user, "user_withdraw:" + userID + "::1795401600000", bot.Withdrawn{}},
		{"oa_send_text", `"sender":{"id":"3612345678901234567","admin_id":"44"},"recipient":{"id":"2512345678901234567"},"message":{"msg_id":"b1","text":"Chào bạn"}`, user, "oa_send_text:b1", bot.Sent{MsgID: "b1", AdminID: "44", Kind: "text", Text: "Chào bạn"}},
		{"oa_send_image", fromOA_ + `,"message":{"msg_id":"b1"}`, user, "oa_send_image:b1", bot.Sent{MsgID: "b1", Kind: "image"}},
		{"user_received_message", fromOA_ + `,"message":{"msg_id":"b1"}`, user, "user_received_message:b1", bot.Delivered{MsgID: "b1", At: signed}},
		{"user_received_message", `"sender":{"id":"3612345678901234567"},"recipient":{"id":"84912345678"},"message":{"delivery_time":"1795401500000","msg_id":"e1","tracking_id":"2512345678901234567-1z141z3"}`,
			user, "user_received_message:e1", bot.Delivered{MsgID: "e1", TrackingID: "2512345678901234567-1z141z3", At: time.UnixMilli(1795401500000).UTC()}},
		{"user_received_message", `"sender":{"id":"3612345678901234567"},"recipient":{"id":"` + phoneHash + `"},"message":{"delivery_time":1795401500000,"msg_id":"e1","tracking_id":"2512345678901234567-9"}`,
			user, "user_received_message:e1", bot.Delivered{MsgID: "e1", TrackingID: "2512345678901234567-9", At: time.UnixMilli(1795401500000).UTC()}},
		{"user_received_message", fromOA_ + `,"message":{"msg_id":"e1","tracking_id":"notice-42-1"}`, user, "user_received_message:e1",
			bot.Delivered{MsgID: "e1", TrackingID: "notice-42-1", At: signed}},
		{"user_seen_message", fromOA_ + `,"message":{"msg_ids":["b1","c1"]},"oa_id":"3612345678901234567"`, user, "user_seen_message:" + userID + ":b1,c1", bot.Seen{MsgIDs: []string{"b1", "c1"}}},
		{"user_seen_message", fromOA_ + `,"message":{"msg_id":"b1"}`, user, "user_seen_message:b1", bot.Seen{MsgIDs: []string{"b1"}}},
		{"user_reacted_message", fromUser + `,"message":{"msg_id":"b1","react_icon":"/-heart"}`, user, "user_reacted_message:b1:/-heart:1795401600000", bot.Reacted{MsgID: "b1", Icon: "/-heart"}},
		{"oa_reacted_message", fromOA_ + `,"message":{"msg_id":"b1","react_icon":"/-heart"}`, user, "oa_reacted_message:b1:/-heart:1795401600000", bot.Reacted{MsgID: "b1", Icon: "/-heart", ByOA: true}},
		{"widget_interaction_accepted", `"oa_id":"3612345678901234567","data":{"user_id":"2512345678901234567","url":"https://x.vn"}`, user, "widget_interaction_accepted:" + userID + "::1795401600000", bot.Interacted{Kind: "widget_interaction_accepted"}},
		{"user_call_oa", `"oa_id":"3612345678901234567","user_id":"2512345678901234567","call_id":"c"`, user, "user_call_oa:" + userID + "::1795401600000", bot.Interacted{Kind: "user_call_oa"}},
		{"add_user_to_tag", `"oa_id":"3612345678901234567","tag":{"name":"cần người","user_ids":["1"]}`, none, "add_user_to_tag:cần người::1795401600000", bot.Account{Kind: "add_user_to_tag", Detail: map[string]string{"tag": "cần người"}}},
		{"change_template_status", `"oa_id":"3612345678901234567","template_id":"77","status":{"prev_status":"PENDING_REVIEW","new_status":"ENABLE"},"reason":"ok"`, none, "change_template_status:77::1795401600000",
			bot.Account{Kind: "change_template_status", Detail: map[string]string{"template_id": "77", "reason": "ok", "status_from": "PENDING_REVIEW", "status_to": "ENABLE"}}},
		{"change_oa_daily_quota", `"oaId":"3612345678901234567","quota":{"prev_value":"500","new_value":"1000"}`, none, "change_oa_daily_quota:::1795401600000",
			bot.Account{Kind: "change_oa_daily_quota", Detail: map[string]string{"quota_from": "500", "quota_to": "1000"}}},
		{"change_template_quality", `"oa_id":"3612345678901234567","template_id":"77","quality":"LOW"`, none, "change_template_quality:77::1795401600000",
			bot.Account{Kind: "change_template_quality", Detail: map[string]string{"template_id": "77", "quality_to": "LOW"}}},
		{"change_template_quality", `"oa_id":"3612345678901234567","template_id":77,"quality":{"prev_quality":"HIGH","new_quality":"LOW"}`, none, "change_template_quality:77::1795401600000",
			bot.Account{Kind: "change_template_quality", Detail: map[string]string{"template_id": "77", "quality_from": "HIGH", "quality_to": "LOW"}}},
		{"change_template_quota", `"oa_id":"3612345678901234567","template_id":"77","quota":{"prev_quota":500,"new_quota":100}`, none, "change_template_quota:77::1795401600000",
			bot.Account{Kind: "change_template_quota", Detail: map[string]string{"template_id": "77", "quota_from": "500", "quota_to": "100"}}},
		{"change_oa_template_tags", `"oa_id":"3612345678901234567","tag":["OTP"],"tags":{"prev_value":["TRANSACTION"],"new_value":["TRANSACTION","PROMOTION"]}`, none, "change_oa_template_tags:::1795401600000",
			bot.Account{Kind: "change_oa_template_tags", Detail: map[string]string{"tags_from": "TRANSACTION", "tags_to": "TRANSACTION,PROMOTION"}}},
		{"user_click_response_button", `"oa_id":"3612345678901234567","msg_id":"r1","message":{"submit_time":"1","button_type":"response"}`, none, "user_click_response_button::r1:1795401600000", bot.Account{Kind: "user_click_response_button", Detail: map[string]string{}}},
		{"anonymous_send_text", `"sender":{"id":"anon-7f3a"},"recipient":{"id":"3612345678901234567"},"message":{"msg_id":"d1","text":"Cho tôi hỏi","conversation_id":"conv-55aa"}`,
			bot.CitizenID{OA: oaID, User: "anon-7f3a"}, "anonymous_send_text:d1", bot.Anonymous{MsgID: "d1", ConversationID: "conv-55aa", Text: "Cho tôi hỏi"}},
		{"user_send_group_text", `"oa_id":"3612345678901234567","sender":{"id":"2512345678901234567"},"recipient":{"id":"3612345678901234567"},"message":{"msg_id":"g1"}`, user, "user_send_group_text:g1", bot.Group{Kind: "user_send_group_text"}},
		{"create_group", `"oa_id":"3612345678901234567"`, none, "create_group:::1795401600000", bot.Group{Kind: "create_group"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev, ours, err := Decode([]byte(event(tt.name, tt.rest)), oaID, at.AddDate(1, 0, 0))
			if err != nil || !ours {
				t.Fatalf("ours=%v, %v", ours, err)
			}
			want := bot.Event{ID: tt.id, Name: tt.name, Citizen: tt.who, SignedAt: signed, AcceptedAt: at.AddDate(1, 0, 0), Body: tt.body}
			if diff := cmp.Diff(want, ev); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

// phoneHash is the SHA-256 of a phone, as receipts of templates sent by hash have it.
const phoneHash = "25cc2f75a3c8b3e09d6c4b2a1f0e9d8c7b6a5948372615049f8e7d6c5b4a3921"

// A phone is nobody's id: a receipt that names only a phone is counted and gone.
func TestReceiptsByPhoneNameNobody(t *testing.T) {
	for _, to := range []string{"84912345678", "+84912345678", "0912345678", phoneHash, strings.ToUpper(phoneHash)} {
		for _, tracking := range []string{"", "notice-42-1", "84912345678-1", "2512345678901234567-", "2512345678901234567-Z",
			"2512345678901234567-01", "2512345678901234567--1", "2512345678901234567-1-1", "0-1", "251234567890123456a-1"} {
			body := event("user_received_message", `"sender":{"id":"3612345678901234567"},"recipient":{"id":"`+to+
				`"},"message":{"delivery_time":"1795401500000","msg_id":"e1","tracking_id":"`+tracking+`"}`)
			ev, ours, err := Decode([]byte(body), oaID, now)
			if err != nil || !ours {
				t.Fatalf("%s with %q: ours=%v, %v", to, tracking, ours, err)
			}
			if ev.Body != (bot.Unknown{}) || ev.ID != "" || ev.Citizen != (bot.CitizenID{}) {
				t.Errorf("%s with %q became %+v", to, tracking, ev)
			}
		}
	}
}

func TestMessagesShareOneIdentityWhateverTheirKind(t *testing.T) {
	for _, name := range []string{"user_send_text", "user_send_image", "user_send_link", "user_send_location"} {
		ev, _, err := Decode([]byte(event(name, fromUser+`,"message":{"msg_id":"m1"}`)), oaID, now)
		if err != nil || ev.ID != "user_send:m1" {
			t.Errorf("%s: %q, %v", name, ev.ID, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(vector))
	f.Add([]byte(event("user_seen_message", fromOA_+`,"message":{"msg_ids":["b1"]}`)))
	f.Add([]byte(`{"message":{"attachments":[{}]},"event_name":"user_send_location","timestamp":1}`))
	f.Add([]byte(`{"info":null,"event_name":"user_submit_info"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		env, errEnv := parseEnvelope(body)
		ev, ours, err := Decode(body, oaID, now)
		if errEnv != nil && err == nil && ours {
			t.Errorf("decoded what has no envelope: %+v", env)
		}
		if err != nil || !ours {
			return
		}
		if _, unknown := ev.Body.(bot.Unknown); unknown {
			return
		}
		if ev.ID == "" || ev.Citizen.OA != oaID || ev.SignedAt.After(now) {
			t.Errorf("event lacks what is told of it: %+v", ev)
		}
		if _, receipt := ev.Body.(bot.Delivered); receipt && phoneShaped(ev.Citizen.User) {
			t.Errorf("a phone became somebody's id: %q", ev.Citizen.User)
		}
		if ev.Citizen.User != "" && !validID(ev.Citizen.User) {
			t.Errorf("malformed id went through: %q", ev.Citizen.User)
		}
	})
}

func FuzzSignatureHeader(f *testing.F) {
	f.Add("mac=52ecc22c3af6729985d880bce4a8cc9517690409ce7b4880c0c3ff8b373d613a", []byte(vector))
	f.Add("mac = ", []byte("{}"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		m, ok := parseMAC(header)
		if ok && verify(m, appID, body, "1795401600000", "another secret "+header) {
			t.Error("verified under a secret that did not sign")
		}
	})
}

func BenchmarkDecodeAndVerify(b *testing.B) {
	body := []byte(vector)
	m, _ := parseMAC(mac(vector, "1795401600000", oaSecret))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		env, err := parseEnvelope(body)
		if err != nil || !verify(m, string(env.AppID), body, string(env.Timestamp), oaSecret) {
			b.Fatal("does not verify")
		}
		if _, ours, err := Decode(body, oaID, now); err != nil || !ours {
			b.Fatal(err)
		}
	}
}
