package zalosim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// userList lists the people the account knows, in the order they came.
func (s *Sim) userList(c *call) answer {
	var q struct {
		Offset   int    `json:"offset"`
		Count    int    `json:"count"`
		Tag      string `json:"tag_name"`
		Period   string `json:"last_interaction_period"`
		Follower string `json:"is_follower"`
	}
	if json.Unmarshal(c.body, &q) != nil || q.Offset < 0 {
		return *invalid("offset")
	}
	if q.Count < 1 {
		return *invalid("count")
	}
	if q.Count > maxUsers || q.Offset > maxOffset {
		return *refusal(codeTooMuch)
	}
	if q.Follower != "" && q.Follower != "true" && q.Follower != "false" {
		return *invalid("is_follower")
	}
	from, to, valid := period(q.Period, dayOf(c.now))
	if !valid {
		return *invalid("last_interaction_period")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	total, found := 0, 0
	users := []byte{'['}
	for _, p := range s.order {
		day := dayOf(p.interacted)
		switch {
		case q.Follower != "" && p.Follows != (q.Follower == "true"),
			q.Period != "" && (p.interacted.IsZero() || day < from || day > to),
			q.Tag != "" && !slices.Contains(p.tags, q.Tag):
			continue
		}
		if total >= q.Offset && found < q.Count {
			if found > 0 {
				users = append(users, ',')
			}
			users = append(users, newObject(40, false).str("user_id", p.ID).bytes()...)
			found++
		}
		total++
	}
	return ok(newObject(60+len(users), false).
		num("total", int64(total)).num("count", int64(found)).num("offset", int64(q.Offset)).
		raw("users", append(users, ']')).bytes())
}

// period reads a period of days, numbered as dayOf does.
func period(name string, today int) (from, to int, valid bool) {
	switch name {
	case "":
		return 0, 0, true
	case "TODAY":
		return today, today, true
	case "YESTERDAY":
		return today - 1, today - 1, true
	case "L7D":
		return today - 6, today, true
	case "L30D":
		return today - 29, today, true
	}
	first, last, _ := strings.Cut(name, ":")
	a, errA := time.ParseInLocation("2006_01_02", first, vietnam)
	b, errB := time.ParseInLocation("2006_01_02", last, vietnam)
	return dayOf(a), dayOf(b), errA == nil && errB == nil && !b.Before(a)
}
