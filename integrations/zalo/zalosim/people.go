package zalosim

import (
	"container/list"
	"slices"
	"strings"
	"time"
)

// User is a person with a Zalo account, as this Official Account sees them.
type User struct {
	ID         string // 15–19 decimal digits
	IDByApp    string // default: made from ID
	Name       string
	AvatarURL  string
	Follows    bool
	Blocked    bool // has blocked the account: -217
	Restricted bool // has restricted this kind of message: -244
	Inactive   bool // offline for more than 45 days: -227

	Phone  string // 84…; empty: no template reaches them by phone
	City   string // Zalo's number of the province; empty: Zalo does not know
	Age    int    // 0: Zalo does not know
	Gender int    // 1 male, 2 female, 0: Zalo does not know
}

// Info is what a person fills into the form that asks for name and phone. Empty
// fields are left out of the event.
type Info struct{ Name, Phone, DOB, Gender, City, Ward, Address string }

// person is a User with all that the account knows of them.
type person struct {
	User
	interacted time.Time // last interaction; zero: never
	wrote      bool      // interacted by more than following
	welcomed   int       // messages sent while wrote was false
	chat       []ChatMessage
	tags       []string
	info       Info
	forgotten  bool
	place      *list.Element // in Sim.recent
	casts      casts
}

// AddUser adds a person, or changes name and picture of one who is there.
// Anyone who acts without having been added is added with their id for a name.
func (s *Sim) AddUser(u User) {
	s.mu.Lock()
	p := s.person(u.ID)
	if u.IDByApp == "" {
		u.IDByApp = p.IDByApp
	}
	if u.Name == "" {
		u.Name = p.Name
	}
	if s.phones[p.Phone] == p {
		delete(s.phones, p.Phone)
	}
	p.User = u
	if u.Phone != "" {
		s.phones[u.Phone] = p
	}
	s.mu.Unlock()
	s.watch.tell(UpdateChat, u.ID)
}

// byPhone finds the id of whose Zalo account has a phone; empty: nobody's.
func (s *Sim) byPhone(phone string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.phones[strings.TrimPrefix(phone, "+")]; p != nil {
		return p.ID
	}
	return ""
}

// person finds or adds somebody. The caller holds mu.
func (s *Sim) person(id string) *person {
	p := s.people[id]
	if p == nil {
		p = &person{User: User{ID: id, IDByApp: idByApp(id), Name: id}}
		s.people[id] = p
		s.order = append(s.order, p)
	}
	return p
}

// idByApp makes the id an app sees from the id an account sees.
func idByApp(id string) string {
	if len(id) < 2 {
		return "55" + id
	}
	return "55" + id[2:]
}

// Users lists the people in the order they were added.
func (s *Sim) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]User, len(s.order))
	for i, p := range s.order {
		out[i] = p.User
	}
	return out
}

// Tags returns the tags put on a person.
func (s *Sim) Tags(user string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.people[user]; p != nil {
		return slices.Clone(p.tags)
	}
	return nil
}

// Forgotten reports whether the account had Zalo erase what it kept of a person.
func (s *Sim) Forgotten(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.people[user]
	return p != nil && p.forgotten
}

// act lets a person do something at the clock's time and delivers the event
// that change returns. An interaction opens the windows of 48 hours and 7 days.
func (s *Sim) act(user string, interaction, wrote bool, change func(p *person, now time.Time) (event string, body []byte)) {
	now := s.clock.Now()
	s.mu.Lock()
	p := s.person(user)
	if interaction {
		p.interacted = now
		p.forgotten = false
	}
	if wrote {
		p.wrote = true
	}
	event, body := change(p, now)
	s.mu.Unlock()
	if body != nil {
		s.post.enqueue(event, user, body)
	}
	s.watch.tell(UpdateChat, user)
}

// Follow presses "Quan tâm", with its event.
func (s *Sim) Follow(user string) {
	s.act(user, true, false, func(p *person, now time.Time) (string, []byte) {
		p.Follows = true
		return "follow", s.followEvent(p, "follow", now)
	})
}

// Unfollow presses "Bỏ quan tâm", with its event. Windows that are open stay open.
func (s *Sim) Unfollow(user string) {
	s.act(user, false, false, func(p *person, now time.Time) (string, []byte) {
		p.Follows = false
		return "unfollow", s.followEvent(p, "unfollow", now)
	})
}

// OpenChat presses "Nhắn tin" on the profile. Zalo tells of it once, for people
// who have never chatted.
func (s *Sim) OpenChat(user string) {
	s.act(user, true, true, func(p *person, now time.Time) (string, []byte) {
		if len(p.chat) > 0 {
			return "", nil
		}
		return "user_click_chatnow", s.managementEvent(p, "user_click_chatnow", now)
	})
}

// Block blocks or unblocks the account for a person; Zalo tells nobody.
func (s *Sim) Block(user string, blocked bool) {
	s.act(user, false, false, func(p *person, _ time.Time) (string, []byte) {
		p.Blocked = blocked
		return "", nil
	})
}

// Withdraw sends user_withdraw: a request that the person's data be erased.
func (s *Sim) Withdraw(user string) {
	s.act(user, false, false, func(p *person, now time.Time) (string, []byte) {
		return "user_withdraw", s.managementEvent(p, "user_withdraw", now)
	})
}

// SubmitInfo sends the filled form that asked for name and phone.
func (s *Sim) SubmitInfo(user string, info Info) {
	s.act(user, true, true, func(p *person, now time.Time) (string, []byte) {
		p.info = info
		s.remember(p, ChatMessage{ID: s.newID(), FromUser: true, Kind: "form", Text: info.Name + " · " + info.Phone, At: now})
		return "user_submit_info", s.infoEvent(p, info, now)
	})
}
