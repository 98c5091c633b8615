package webhook

import (
	"encoding/json"
	"strings"
	"time"

	"congdanso/bot"
)

// media maps the events by which citizens send something else than text.
var media = map[string]bot.MediaKind{
	"user_send_image":         bot.MediaImage,
	"user_send_gif":           bot.MediaGIF,
	"user_send_link":          bot.MediaLink,
	"user_send_audio":         bot.MediaAudio,
	"user_send_video":         bot.MediaVideo,
	"user_send_sticker":       bot.MediaSticker,
	"user_send_file":          bot.MediaFile,
	"user_send_business_card": bot.MediaCard,
}

// account lists the events about the account itself, with or without a person:
// they are logged and counted. Names of less-used ones rest on surveys of
// Zalo's pages.
var account = map[string]bool{
	"add_user_to_tag": true, "remove_user_from_tag": true, "create_tag": true, "remove_tag": true,
	"update_user_info": true, "extension_purchased": true, "permission_revoked": true,
	"widget_failed_to_sync_user_external_id": true, "user_asking_product": true, "shop_has_order": true,
	"oa_send_consent": true, "user_reply_consent": true,
	"change_template_status": true, "change_oa_daily_quota": true, "change_template_quality": true,
	"change_template_quota": true, "change_oa_template_tags": true,
	"user_feedback": true, "user_click_response_button": true,
	"event_journey_time_out": true, "event_journey_acknowledged": true,
}

// groups lists the events of group chats that carry no telling prefix.
var groups = map[string]bool{
	"create_group": true, "user_join_group": true, "user_request_join_group": true,
	"accept_request_join_group": true, "react_request_join_group_accept": true,
	"reject_request_join_group": true, "add_group_admin": true, "remove_group_admin": true,
	"update_group_info": true, "user_out_group": true, "user_leave_group": true, "delete_group": true,
}

// body decides by the event's name what it carries.
func (d *delivery) body(signed time.Time) bot.Body {
	name := string(d.EventName)
	m := &d.Message
	switch name {
	case "user_send_text":
		return bot.Text{MsgID: string(m.MsgID), Text: string(m.Text), Quoted: string(m.QuoteMsgID)}
	case "user_send_location":
		if len(m.Attachments) > 0 {
			c := m.Attachments[0].Payload.Coordinates
			return bot.Location{MsgID: string(m.MsgID), Latitude: string(c.Latitude), Longitude: string(c.Longitude)}
		}
		return bot.Location{MsgID: string(m.MsgID)}
	case "follow":
		return bot.Followed{Source: string(d.Source)}
	case "unfollow":
		return bot.Unfollowed{}
	case "user_click_chatnow":
		return bot.ChatOpened{}
	case "user_submit_info":
		return d.submitted()
	case "user_withdraw":
		return bot.Withdrawn{}
	case "user_received_message":
		return bot.Delivered{MsgID: string(m.MsgID), TrackingID: string(m.TrackingID), At: signedAt(string(m.DeliveryTime), signed)}
	case "user_seen_message":
		return bot.Seen{MsgIDs: seenIDs(m)}
	case "user_reacted_message", "oa_reacted_message":
		return bot.Reacted{MsgID: string(m.MsgID), Icon: string(m.ReactIcon), ByOA: name == "oa_reacted_message"}
	case "user_call_oa", "oa_call_user", "widget_interaction_accepted":
		return bot.Interacted{Kind: name}
	}
	switch kind, known := media[name]; {
	case known:
		return d.media(kind)
	case account[name]:
		return bot.Account{Kind: name, Detail: d.detail()}
	case groups[name], strings.HasPrefix(name, "user_send_group_"), strings.HasPrefix(name, "oa_send_group_"):
		return bot.Group{Kind: name}
	case strings.HasPrefix(name, "anonymous_send_"), strings.HasPrefix(name, "oa_send_anonymous_"):
		return bot.Anonymous{MsgID: string(m.MsgID), ConversationID: string(m.ConversationID),
			Text: string(m.Text), ByOA: strings.HasPrefix(name, "oa_")}
	case strings.HasPrefix(name, "oa_send_"):
		return bot.Sent{MsgID: string(m.MsgID), AdminID: string(d.Sender.AdminID),
			Kind: strings.TrimPrefix(name, "oa_send_"), Text: string(m.Text)}
	case strings.HasPrefix(name, "user_send_"):
		return d.media(bot.MediaOther) // a kind Zalo has added since: the person still gets an answer
	}
	return bot.Unknown{}
}

func (d *delivery) media(kind bot.MediaKind) bot.Media {
	m := bot.Media{MsgID: string(d.Message.MsgID), Kind: kind, Text: string(d.Message.Text)}
	if len(d.Message.Attachments) > 0 {
		p := d.Message.Attachments[0].Payload
		m.URL, m.Name = zaloURL(p.URL), string(p.Name)
	}
	return m
}

func (d *delivery) submitted() bot.InfoSubmitted {
	first := func(values ...text) string {
		for _, v := range values {
			if s := strings.TrimSpace(string(v)); s != "" {
				return s
			}
		}
		return ""
	}
	in := &d.Info
	return bot.InfoSubmitted{
		Name:    first(in.Name),
		Phone:   first(in.Phone),
		City:    first(in.FullAddress.City, in.City),
		Ward:    first(in.FullAddress.Ward, in.Ward),
		Address: first(in.FullAddress.Address, in.Address),
	}
}

// seenIDs reads the array; a single id beside it is accepted too.
func seenIDs(m *message) []string {
	var ids []string
	for _, id := range m.MsgIDs {
		ids = append(ids, string(id))
	}
	if len(ids) == 0 && m.MsgID != "" {
		ids = append(ids, string(m.MsgID))
	}
	return ids
}

// detail keeps the public fields of news about the account.
func (d *delivery) detail() map[string]string {
	detail := map[string]string{}
	put := func(key string, value string) {
		if value != "" {
			detail[key] = value
		}
	}
	put("tag", string(d.Tag.Name))
	put("template_id", string(d.TemplateID))
	put("reason", string(d.Reason))
	for key, raw := range map[string]json.RawMessage{
		"status": d.Status, "quality": d.Quality, "quota": d.Quota, "tags": d.Tags,
	} {
		from, to := change(raw)
		put(key+"_from", from)
		put(key+"_to", to)
	}
	return detail
}

// change reads what a thing was and is: an object of a prev_… and a new_…, whose
// names differ from event to event, or only the new value. Values are texts,
// numbers or lists of them.
func change(raw json.RawMessage) (from, to string) {
	var both map[string]json.RawMessage
	if json.Unmarshal(raw, &both) != nil || both == nil {
		return "", values(raw)
	}
	for name, raw := range both {
		switch {
		case strings.HasPrefix(name, "prev_"):
			from = values(raw)
		case strings.HasPrefix(name, "new_"):
			to = values(raw)
		}
	}
	return from, to
}

// values reads a text or a number, or several of them; anything else is empty.
func values(raw json.RawMessage) string {
	var list []text
	if json.Unmarshal(raw, &list) != nil {
		list = make([]text, 1)
		if json.Unmarshal(raw, &list[0]) != nil {
			return ""
		}
	}
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = string(v)
	}
	return strings.Join(all, ",")
}

// tag is the tag of which tag events tell.
type tag struct {
	Name    text   `json:"name"`
	UserIDs []text `json:"user_ids"`
}

// UnmarshalJSON leaves out what has another shape: change_oa_template_tags, whose
// body is not documented, may have.
func (t *tag) UnmarshalJSON(raw []byte) error {
	type plain tag
	var p plain
	if json.Unmarshal(raw, &p) == nil {
		*t = tag(p)
	}
	return nil
}
