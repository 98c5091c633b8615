package zalosim

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// saved is what a stand-in remembers over a restart: people, their chats, and the
// articles. The tokens are not among it; a restarted stand-in hands out a new
// grant. What was put off is lost.
type saved struct {
	Paid     int
	People   []savedPerson // by their newest message, newest first; who has none comes last
	Articles []*article    `json:",omitempty"`
	Created  tally
}

type savedPerson struct {
	User
	Interacted time.Time
	Wrote      bool
	Welcomed   int
	Tags       []string `json:",omitempty"`
	Info       Info
	Forgotten  bool
	Casts      casts
	Place      int // in the order of adding
	Chat       []ChatMessage
}

// Save writes people, chats and articles, as JSON, for Load.
func (s *Sim) Save(w io.Writer) error {
	s.mu.Lock()
	out := saved{Paid: s.paid, Created: s.created}
	for _, a := range s.articles { // copied, for more versions may come while it is written
		out.Articles = append(out.Articles, &article{ID: a.ID, Versions: slices.Clone(a.Versions)})
	}
	place := make(map[*person]int, len(s.order))
	for i, p := range s.order {
		place[p] = i
	}
	add := func(p *person) {
		out.People = append(out.People, savedPerson{User: p.User, Interacted: p.interacted, Wrote: p.wrote,
			Welcomed: p.welcomed, Tags: slices.Clone(p.tags), Info: p.info, Forgotten: p.forgotten,
			Casts: p.casts, Place: place[p], Chat: slices.Clone(p.chat)})
	}
	for e := s.recent.Front(); e != nil; e = e.Next() {
		add(e.Value.(*person))
	}
	for _, p := range s.order {
		if p.place == nil {
			add(p)
		}
	}
	s.mu.Unlock()
	if err := json.NewEncoder(w).Encode(out); err != nil {
		return fmt.Errorf("save stand-in: %w", err)
	}
	return nil
}

// Load takes over what Save wrote, into a stand-in in which nobody has acted yet.
func (s *Sim) Load(r io.Reader) error {
	var in saved
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return fmt.Errorf("load stand-in: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.people) > 0 {
		return fmt.Errorf("load stand-in: %d people are there already", len(s.people))
	}
	s.paid, s.created = in.Paid, in.Created
	for _, a := range in.Articles {
		s.articles[a.ID] = a
		for _, v := range a.Versions {
			v.article, s.tokens[v.Token] = a, v
		}
	}
	for _, q := range slices.Backward(in.People) { // the newest chat last, to the front
		p := &person{User: q.User, interacted: q.Interacted, wrote: q.Wrote, welcomed: q.Welcomed,
			tags: q.Tags, info: q.Info, forgotten: q.Forgotten, casts: q.Casts}
		s.people[p.ID] = p
		if p.Phone != "" {
			s.phones[p.Phone] = p
		}
		for _, m := range q.Chat {
			s.remember(p, m)
		}
	}
	slices.SortFunc(in.People, func(a, b savedPerson) int { return a.Place - b.Place })
	for _, q := range in.People {
		s.order = append(s.order, s.people[q.ID])
	}
	return nil
}
