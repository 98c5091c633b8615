package zalosim

import "time"

// The bodies of events, with their keys in the order of Zalo's own samples
// (Zalo: webhook, one page an event).

func (s *Sim) event(size int) *object { return newObject(size, s.opt.EscapeUnicode) }

// fromUser begins the body of a message event of a person.
func (s *Sim) fromUser(p *person, name string, room int) *object {
	return s.event(300+room).
		str("app_id", s.opt.AppID).
		open("sender").str("id", p.ID).close().
		open("recipient").str("id", s.opt.OAID).close().
		str("user_id_by_app", p.IDByApp).
		str("event_name", name)
}

func (s *Sim) textEvent(p *person, text, id string, at time.Time) []byte {
	return s.fromUser(p, "user_send_text", len(text)).
		open("message").str("text", text).str("msg_id", id).close().
		str("timestamp", millis(at)).bytes()
}

func (s *Sim) mediaEvent(p *person, kind, text, url, id string, at time.Time) []byte {
	name, attachment := "user_send_"+kind, kind
	payload := s.event(200)
	switch kind {
	case "image", "gif":
		payload.str("thumbnail", url).str("url", url)
	case "link", "video":
		payload.str("thumbnail", url).str("description", text).str("url", url)
	case "sticker":
		payload.str("id", "bfe458bf64fa8da4d4eb").str("url", url)
	case "business_card":
		attachment = "link"
		card := newObject(100, false).str("phone", "84912345678").str("qrCodeUrl", url).bytes()
		payload.str("thumbnail", url).str("description", string(card)).str("url", url)
	case "file":
		payload.str("url", url).str("size", "20480").str("name", "giay-to.pdf").
			str("checksum", "9e107d9d372bb6826bd81d3542a419d6").str("type", "pdf")
	default: // audio, and what Zalo may add
		payload.str("url", url)
	}
	o := s.fromUser(p, name, 500).open("message").str("msg_id", id)
	if text != "" {
		o.str("text", text)
	}
	one := s.event(300).raw("payload", payload.bytes()).str("type", attachment).bytes()
	return o.raw("attachments", array(one)).close().str("timestamp", millis(at)).bytes()
}

func (s *Sim) locationEvent(p *person, latitude, longitude, id string, at time.Time) []byte {
	where := s.event(100).open("coordinates").str("latitude", latitude).str("longitude", longitude).close().bytes()
	one := s.event(200).raw("payload", where).str("type", "location").bytes()
	return s.fromUser(p, "user_send_location", 300).
		open("message").str("msg_id", id).str("text", "").raw("attachments", array(one)).close().
		str("timestamp", millis(at)).bytes()
}

func (s *Sim) reactionEvent(p *person, msgID, icon string, at time.Time) []byte {
	return s.fromUser(p, "user_reacted_message", 100).
		open("message").str("msg_id", msgID).str("react_icon", icon).close().
		str("timestamp", millis(at)).bytes()
}

func (s *Sim) infoEvent(p *person, info Info, at time.Time) []byte {
	o := s.event(600).
		str("app_id", s.opt.AppID).
		open("sender").str("id", p.ID).close().
		open("recipient").str("id", s.opt.OAID).close().
		str("event_name", "user_submit_info").
		str("timestamp", millis(at)).
		open("info")
	set := func(k, v string) {
		if v != "" {
			o.str(k, v)
		}
	}
	set("name", info.Name)
	set("phone", info.Phone)
	set("user_dob", info.DOB)
	set("gender", info.Gender)
	if info.City+info.Ward+info.Address != "" {
		o.open("full_address")
		set("user_city", info.City)
		set("user_ward", info.Ward)
		set("user_address", info.Address)
		o.close()
	}
	return o.close().bytes()
}

func (s *Sim) followEvent(p *person, name string, at time.Time) []byte {
	return s.event(300).
		str("oa_id", s.opt.OAID).
		open("follower").str("id", p.ID).close().
		str("user_id_by_app", p.IDByApp).
		str("event_name", name).
		str("source", "oa_profile").
		str("app_id", s.opt.AppID).
		str("timestamp", millis(at)).bytes()
}

// managementEvent is user_click_chatnow, user_withdraw: oa_id and user_id, no sender.
func (s *Sim) managementEvent(p *person, name string, at time.Time) []byte {
	return s.event(300).
		str("app_id", s.opt.AppID).
		str("oa_id", s.opt.OAID).
		str("user_id", p.ID).
		str("user_id_by_app", p.IDByApp).
		str("event_name", name).
		str("timestamp", millis(at)).bytes()
}

func (s *Sim) tagEvent(p *person, name, tag string, at time.Time) []byte {
	return s.event(300).
		str("app_id", s.opt.AppID).
		str("oa_id", s.opt.OAID).
		str("user_id_by_app", p.IDByApp).
		str("event_name", name).
		open("tag").str("name", tag).strs("user_ids", []string{p.ID}).close().
		str("timestamp", millis(at)).bytes()
}

// echoEvent tells of a message the account sent; adminID is set when staff wrote it.
func (s *Sim) echoEvent(p *person, m *ChatMessage, at time.Time) (name string, body []byte) {
	name = "oa_send_text"
	switch {
	case m.ImageURL != "":
		name = "oa_send_image"
	case m.AskInfo != nil, m.Kind == "template":
		name = "oa_send_template"
	}
	o := s.event(300+len(m.Text)).str("app_id", s.opt.AppID).
		open("sender").str("id", s.opt.OAID)
	if m.AdminID != "" {
		o.str("admin_id", m.AdminID)
	}
	o.close().
		open("recipient").str("id", p.ID).close().
		str("event_name", name).
		str("timestamp", millis(at)).
		open("message").str("msg_id", m.ID)
	if m.Text != "" && m.Kind != "template" {
		o.str("text", m.Text)
	}
	switch {
	case m.ImageURL != "":
		one := s.event(200).str("type", "image").
			open("payload").str("thumbnail", m.ImageURL).str("url", m.ImageURL).close().bytes()
		o.raw("attachments", array(one))
	case m.AskInfo != nil:
		one := s.event(200).str("type", "template").
			open("payload").str("zinstant_id", m.ID).str("text", m.AskInfo.Title).close().bytes()
		o.raw("attachments", array(one))
	case m.Kind == "template":
		one := s.event(200+len(m.Text)).str("type", "template").
			open("payload").str("zinstant_id", m.ID).str("text", m.Text).str("link_url", "").str("checksum", "").close().bytes()
		o.raw("attachments", array(one))
	}
	return name, o.close().bytes()
}

// receiptEvent is user_received_message: sender is the account.
func (s *Sim) receiptEvent(p *person, msgID string, at time.Time) []byte {
	return s.toUser(p, "user_received_message", at).
		open("message").str("msg_id", msgID).close().bytes()
}

// phoneReceiptEvent is user_received_message of a template sent by phone: the
// recipient is the phone, and the true time stands in the message.
func (s *Sim) phoneReceiptEvent(phone, msgID, tracking string, at time.Time) []byte {
	return s.event(300).
		open("sender").str("id", s.opt.OAID).close().
		open("recipient").str("id", phone).close().
		str("event_name", "user_received_message").
		open("message").str("delivery_time", millis(at)).str("msg_id", msgID).str("tracking_id", tracking).close().
		str("app_id", s.opt.AppID).
		str("timestamp", millis(at)).bytes()
}

// templateStatusEvent is change_template_status.
func (s *Sim) templateStatusEvent(id, before, after string, at time.Time) []byte {
	return s.event(300).
		str("oa_id", s.opt.OAID).
		str("template_id", id).
		str("event_name", "change_template_status").
		open("status").str("prev_status", before).str("new_status", after).close().
		str("reason", "").
		str("app_id", s.opt.AppID).
		str("timestamp", millis(at)).bytes()
}

func (s *Sim) seenEvent(p *person, msgIDs []string, at time.Time) []byte {
	return s.toUser(p, "user_seen_message", at).
		open("message").strs("msg_ids", msgIDs).close().bytes()
}

func (s *Sim) toUser(p *person, name string, at time.Time) *object {
	return s.event(300).
		str("app_id", s.opt.AppID).
		open("sender").str("id", s.opt.OAID).close().
		open("recipient").str("id", p.ID).close().
		str("user_id_by_app", p.IDByApp).
		str("event_name", name).
		str("timestamp", millis(at))
}

func array(one []byte) []byte {
	return append(append([]byte{'['}, one...), ']')
}
