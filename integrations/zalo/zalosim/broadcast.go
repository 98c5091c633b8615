package zalosim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Broadcast is one accepted broadcast.
type Broadcast struct {
	ID       string
	Articles []string // ids
	At       time.Time
	Went     time.Time // when it was delivered; zero: it is still looked at
	Reached  int       // followers it was delivered to
}

// casts counts the broadcasts one person has got.
type casts struct {
	Day   int // the day of the last one
	Month tally
}

// numbers is a list of numbers as Zalo takes it: "2,8,56", 2, [2,8] or ["2","8"].
type numbers []string

// UnmarshalJSON takes all of these; null and "" are no list.
func (l *numbers) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		var all []text
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
		for _, v := range all {
			*l = append(*l, string(v))
		}
		return nil
	}
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	var one text
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	for v := range strings.SplitSeq(string(one), ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l = append(*l, v)
		}
	}
	return nil
}

// within reports whether every value is a number of its table.
func (l numbers) within(from, to int) bool {
	for _, v := range l {
		if n, err := strconv.Atoi(v); err != nil || n < from || n > to {
			return false
		}
	}
	return true
}

// target narrows a broadcast. Places, platforms and networks are checked, but
// narrow nothing: the stand-in's people have none.
type target struct {
	Ages      numbers `json:"ages"`
	Gender    numbers `json:"gender"`
	Cities    numbers `json:"cities"`
	Locations numbers `json:"locations"`
	Platform  numbers `json:"platform"`
	Telcos    numbers `json:"telcos"`
}

func (t *target) check() *answer {
	switch {
	case !t.Ages.within(0, 7):
		return invalid("ages")
	case !t.Gender.within(0, 2) || len(t.Gender) > 1:
		return invalid("gender")
	case !t.Cities.within(0, 63):
		return invalid("cities")
	case !t.Locations.within(0, 2):
		return invalid("locations")
	case !t.Platform.within(1, 3):
		return invalid("platform")
	case !t.Telcos.within(1, 4):
		return invalid("telcos")
	}
	return nil
}

// ages are the first years of Zalo's groups.
var ages = [...]int{0, 13, 18, 25, 35, 45, 55, 65}

// takesIn reports whether a target takes a person in. Of whom Zalo does not know
// it, nobody is taken in.
func (t *target) takesIn(p *person) bool {
	if len(t.Cities) > 0 && (p.City == "" || !slices.Contains(t.Cities, p.City)) {
		return false
	}
	if len(t.Gender) > 0 && t.Gender[0] != "0" && t.Gender[0] != strconv.Itoa(p.Gender) {
		return false
	}
	if len(t.Ages) == 0 {
		return true
	}
	group := len(ages) - 1
	for ages[group] > p.Age {
		group--
	}
	return p.Age > 0 && slices.Contains(t.Ages, strconv.Itoa(group))
}

// broadcast answers a broadcast of articles. It goes out when it has been looked
// at, whatever the hour is then.
func (s *Sim) broadcast(c *call) answer {
	var req struct {
		Recipient struct {
			UserID text   `json:"user_id"`
			Target target `json:"target"`
		} `json:"recipient"`
		Message struct {
			Attachment struct {
				Type    string `json:"type"`
				Payload struct {
					TemplateType string    `json:"template_type"`
					Elements     []element `json:"elements"`
				} `json:"payload"`
			} `json:"attachment"`
		} `json:"message"`
	}
	if err := json.Unmarshal(c.body, &req); err != nil {
		if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && te.Field != "" {
			return *invalid(te.Field[strings.LastIndexByte(te.Field, '.')+1:])
		}
		return *invalid("target")
	}
	elements := req.Message.Attachment.Payload.Elements
	switch {
	case req.Recipient.UserID != "":
		return *refusal(codeOldMessage)
	case req.Message.Attachment.Type != "template", req.Message.Attachment.Payload.TemplateType != "media":
		return *refusal(codeKind)
	case len(elements) == 0:
		return *invalid("elements")
	case len(elements) > maxArticles:
		return *refusal(codeTooMuch)
	}
	if bad := req.Recipient.Target.check(); bad != nil {
		return *bad
	}
	b := &Broadcast{ID: s.newID(), At: c.now}
	page := ChatMessage{ID: b.ID, Kind: "article", ByAPI: true, At: c.now}
	s.mu.Lock()
	bad := s.bind(b, &page, elements)
	if _, dark := night(c.now); bad == nil && dark {
		bad = refusal(codeNight)
	}
	if bad == nil {
		s.broadcasts = append(s.broadcasts, b)
	}
	s.mu.Unlock()
	if bad != nil {
		return *bad
	}
	s.agenda.add(c.now.Add(s.opt.ModerationDelay), func(now time.Time) { s.spread(b, &req.Recipient.Target, page, now) })
	s.took(page.send(""), nil)
	return ok(newObject(80, false).str("message_id", b.ID).bytes())
}

// bind puts the articles into a broadcast and its message. The caller holds mu.
func (s *Sim) bind(b *Broadcast, page *ChatMessage, elements []element) *answer {
	var titles []string
	for _, e := range elements {
		if e.MediaType != "article" {
			return refusal(codeKind)
		}
		now := s.articles[e.AttachmentID].current(b.At)
		if now == nil || now.Status != "show" {
			return invalid("attachment_id")
		}
		b.Articles = append(b.Articles, e.AttachmentID)
		titles = append(titles, now.Title)
		page.ImageURL = cmp.Or(page.ImageURL, now.Cover.URL)
	}
	page.Text = strings.Join(titles, "\n")
	return nil
}

// spread delivers a broadcast to the followers it is for, one a day and so many a
// month each. No event tells of it: Zalo names none.
func (s *Sim) spread(b *Broadcast, t *target, page ChatMessage, now time.Time) {
	page.At, page.Delivered = now, now
	var reached []string
	s.mu.Lock()
	for _, p := range s.order {
		switch {
		case !p.Follows, p.Blocked, !t.takesIn(p), p.casts.Day == dayOf(now),
			p.casts.Month.left(monthOf(now), s.opt.BroadcastsPerMonth) < 1:
			continue
		}
		p.casts.Day = dayOf(now)
		p.casts.Month.N++
		s.remember(p, page)
		reached = append(reached, p.ID)
	}
	b.Went, b.Reached = now, len(reached)
	s.mu.Unlock()
	for _, id := range reached {
		s.watch.tell(UpdateChat, id)
	}
}

// Broadcasts returns the broadcasts that were accepted, oldest first.
func (s *Sim) Broadcasts() []Broadcast {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Broadcast, len(s.broadcasts))
	for i, b := range s.broadcasts {
		out[i] = *b
	}
	return out
}
