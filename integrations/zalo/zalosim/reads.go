package zalosim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text reads a JSON string, or a number as its digits: one official sample
// writes a user_id without quotes.
type text string

// UnmarshalJSON takes strings and numbers.
func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	*t = text(n)
	return nil
}

// known finds whom the call is about, or refuses. The caller holds mu.
func (s *Sim) known(c *call) (*person, *answer) {
	if p := s.people[c.user]; p != nil && c.user != "" {
		return p, nil
	}
	return nil, invalid("user_id")
}

func (s *Sim) userDetail(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, bad := s.known(c)
	if bad != nil {
		return *bad
	}
	day := ""
	if !p.interacted.IsZero() {
		day = p.interacted.In(vietnam).Format("02/01/2006")
	}
	o := newObject(800, false).
		str("user_id", p.ID).
		str("user_id_by_app", p.IDByApp).
		str("user_external_id", "").
		str("display_name", p.Name).
		str("user_alias", p.Name).
		yes("is_sensitive", false).
		str("user_last_interaction_date", day).
		yes("user_is_follower", p.Follows).
		str("avatar", p.AvatarURL).
		open("avatars").str("120", p.AvatarURL).str("240", p.AvatarURL).close().
		str("dynamic_param", "").
		open("tags_and_notes_info").strs("notes", nil).strs("tag_names", p.tags).close().
		open("shared_info").
		str("address", p.info.Address).str("city", p.info.City).str("district", "").
		str("phone", p.info.Phone).str("name", p.info.Name).str("user_dob", p.info.DOB).
		close()
	return ok(o.bytes())
}

// vietnam is the zone of Zalo's days, without daylight saving since 1975.
var vietnam = time.FixedZone("+07", 7*60*60)

func (s *Sim) quota(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.user == "" {
		return s.packageQuota(c)
	}
	p, bad := s.known(c)
	if bad != nil {
		return *bad
	}
	last := ""
	if !p.interacted.IsZero() {
		last = millis(p.interacted)
	}
	o := newObject(300, false).
		str("last_interaction", last).
		open("cs_reply").num("remain", 8).num("total", 8).close().
		open("promotion").num("daily_remain", 1).num("daily_total", 1).
		num("monthly_remain", 4).num("monthly_total", 4).close()
	return ok(o.bytes())
}

// packageQuota answers what is left of the package's consultation messages. The
// caller holds mu.
func (s *Sim) packageQuota(c *call) answer {
	var q struct {
		Owner   string `json:"quota_owner"`
		Product string `json:"product_type"`
		Type    string `json:"quota_type"`
	}
	if json.Unmarshal(c.body, &q) != nil || (q.Owner != "OA" && q.Owner != "APP") {
		return *invalid("quota_owner")
	}
	if q.Product != "cs" || (q.Type != "sub_quota" && q.Type != "") {
		return ok([]byte(`[]`))
	}
	one := newObject(200, false).
		str("asset_id", "f1f2f3f4f5f6f7f8f9f0").str("product_type", "cs").str("quota_type", "sub_quota").
		str("valid_through", "31/12/2026").
		str("total", strconv.Itoa(max(0, s.opt.PaidMessages))).str("remain", strconv.Itoa(s.paid))
	return ok(array(one.bytes()))
}

func (s *Sim) tag(c *call) answer {
	return s.changeTag(c, "add_user_to_tag", func(tags []string, tag string) []string {
		if slices.Contains(tags, tag) {
			return tags
		}
		return append(tags, tag)
	})
}

func (s *Sim) untag(c *call) answer {
	return s.changeTag(c, "remove_user_from_tag", func(tags []string, tag string) []string {
		return slices.DeleteFunc(tags, func(t string) bool { return t == tag })
	})
}

func (s *Sim) changeTag(c *call, event string, change func(tags []string, tag string) []string) answer {
	var q struct {
		Tag string `json:"tag_name"`
	}
	if json.Unmarshal(c.body, &q) != nil || strings.TrimSpace(q.Tag) == "" {
		return *invalid("tag_name")
	}
	s.mu.Lock()
	p, bad := s.known(c)
	if bad != nil {
		s.mu.Unlock()
		return *bad
	}
	before := len(p.tags)
	p.tags = change(p.tags, q.Tag)
	var body []byte
	if len(p.tags) != before {
		body = s.tagEvent(p, event, q.Tag, c.now)
	}
	s.mu.Unlock()
	if body != nil {
		s.post.enqueue(event, c.user, body)
	}
	s.watch.tell(UpdateChat, c.user)
	return ok(nil)
}

func (s *Sim) tagsOfOA(*call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, p := range s.order {
		all = append(all, p.tags...)
	}
	slices.Sort(all)
	o := newObject(200, false).strs("x", slices.Compact(all)).bytes()
	return ok(o[len(`{"x":`) : len(o)-1])
}

// forget erases what the account keeps of a person at Zalo: tags and shared
// info. Their chat on their own phone stays.
func (s *Sim) forget(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, bad := s.known(c)
	if bad != nil {
		return *bad
	}
	p.tags, p.info, p.forgotten = nil, Info{}, true
	s.watch.tell(UpdateChat, c.user)
	return ok(nil)
}

func (s *Sim) getOA(*call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	followers := 0
	for _, p := range s.order {
		if p.Follows {
			followers++
		}
	}
	o := newObject(800, false).
		str("oaid", s.opt.OAID).
		str("oa_id", s.opt.OAID). // the documents say oaid, several clients read oa_id
		str("name", s.opt.OAName).
		str("description", "").
		str("oa_alias", "").
		yes("is_verified", true).
		num("oa_type", 4).
		str("cate_name", "Cơ quan nhà nước").
		num("num_follower", int64(followers)).
		str("avatar", "https://s120-ava-talk.zadn.vn/oa.jpg").
		str("cover", "").
		str("package_name", "Tăng trưởng").
		str("package_valid_through_date", "31/12/2026").
		str("package_auto_renew_date", "").
		str("linked_ZCA", "")
	return ok(o.bytes())
}

// page reads offset and count of the chat calls.
func page(c *call) (offset, count int, bad *answer) {
	var q struct {
		Offset int `json:"offset"`
		Count  int `json:"count"`
	}
	if json.Unmarshal(c.body, &q) != nil || q.Offset < 0 {
		return 0, 0, invalid("offset")
	}
	if q.Count < 1 {
		return 0, 0, invalid("count")
	}
	if q.Count > maxChats {
		return 0, 0, refusal(codeTooMuch)
	}
	return q.Offset, q.Count, nil
}

// recentChats lists the newest message of each chat, newest first.
func (s *Sim) recentChats(c *call) answer {
	offset, count, bad := page(c)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []byte{'['}
	i := 0
	for e := s.recent.Front(); e != nil && i < offset+count; e = e.Next() {
		if i >= offset {
			p := e.Value.(*person)
			out = s.appendChat(out, p, &p.chat[len(p.chat)-1])
		}
		i++
	}
	return ok(append(out, ']'))
}

// conversation lists one chat, newest first.
func (s *Sim) conversation(c *call) answer {
	offset, count, bad := page(c)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, bad := s.known(c)
	if bad != nil {
		return *bad
	}
	out := []byte{'['}
	for i := len(p.chat) - 1 - offset; i >= 0 && count > 0; i, count = i-1, count-1 {
		out = s.appendChat(out, p, &p.chat[i])
	}
	return ok(append(out, ']'))
}

// chatTypes are the names of message kinds in the chat calls.
var chatTypes = map[string]string{
	"image": "photo", "gif": "GIF", "audio": "voice", "video": "link", "business_card": "link",
	"file": "link", "form": "link", "link": "link", "sticker": "sticker", "location": "location", "text": "text",
	"template": "text", "article": "links",
}

func (s *Sim) appendChat(out []byte, p *person, m *ChatMessage) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	src, from, to, fromName, toName := int64(0), s.opt.OAID, p.ID, s.opt.OAName, p.Name
	if m.FromUser {
		src, from, to, fromName, toName = 1, to, from, toName, fromName
	}
	o := newObject(400+len(m.Text), false).
		num("src", src).
		num("time", m.At.UnixMilli()).
		str("type", chatTypes[m.Kind]).
		str("message", m.Text).
		str("message_id", m.ID).
		str("from_id", from).
		str("to_id", to).
		str("from_display_name", fromName).
		str("from_avatar", "").
		str("to_display_name", toName).
		str("to_avatar", "")
	if url := m.MediaURL + m.ImageURL; url != "" {
		o.str("url", url).str("thumb", url)
	}
	if m.Kind == "location" {
		o.str("location", `{"longitude":`+m.Longitude+`,"latitude":`+m.Latitude+`}`)
	}
	return append(out, o.bytes()...)
}
