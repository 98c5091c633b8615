package push

import (
	"context"
	"fmt"
	"strings"
	"time"

	"congdanso/bot"
	"congdanso/bot/delivery"
)

// ending is a push that is not sent now.
type ending struct {
	c *candidate
	d decision
}

// decide makes messages of what candidates say, a list a person, and sorts out what
// is not sent now.
func (f *Feeder) decide(ctx context.Context, people [][]*candidate, e env, run *Run) (sends []sending, others []ending, stop string, err error) {
	if err := f.render(ctx, people); err != nil {
		return nil, nil, "", err
	}
	for _, list := range people {
		var going []*candidate
		var rung Rung
		for _, c := range list {
			d := e.decide(c)
			switch {
			case d.way == send && rung == "":
				rung = d.rung
				going = append(going, c)
			case d.way == send: // the others of a digest go the way of the first
				going = append(going, c)
			case d.way == cannot:
				stop = d.reason
			default:
				others = append(others, ending{c, d})
			}
		}
		if stop != "" {
			break
		}
		if len(going) == 0 {
			continue
		}
		s, rest := f.compose(going, rung, e)
		sends = append(sends, s)
		for _, c := range rest {
			others = append(others, ending{c, decision{way: later, due: e.now.Add(time.Minute), digest: c.digest}})
		}
		if left, limited := f.known.left[s.rung]; limited && left <= int64(len(sends)) {
			break // no more than the budget in one batch; the next sees it used up
		}
	}
	return sends, others, stop, nil
}

// render asks the broadcasts what their copies say.
func (f *Feeder) render(ctx context.Context, people [][]*candidate) error {
	byRun := map[int64][]*candidate{}
	for _, list := range people {
		for _, c := range list {
			if c.kind == KindBroadcast {
				byRun[c.source] = append(byRun[c.source], c)
			}
		}
	}
	for run, list := range byRun {
		persons := make([]Person, len(list))
		for i, c := range list {
			persons[i] = Person{ID: c.who, Language: c.language, Name: c.name}
		}
		contents, err := f.runs.Render(ctx, run, persons)
		if err != nil {
			return fmt.Errorf("render run %d: %w", run, err)
		}
		for i, c := range list {
			c.content = &contents[i]
		}
	}
	return nil
}

// compose makes one message of pushes to one person. Several are told one under the
// other, as many as fit; what does not is left.
func (f *Feeder) compose(list []*candidate, rung Rung, e env) (s sending, rest []*candidate) {
	first := list[0]
	s = sending{who: first.who, rung: rung}
	item := delivery.Item{
		To: first.who, Priority: first.class.priority(), Rung: string(rung), ExpiresAt: first.expires,
	}
	if rung == RungTemplate || rung == RungPhone {
		t, _ := f.known.fill(first.content)
		s.cost = f.known.Cost(rung, first.content.Template)
		item.Template = &bot.Template{ID: t.ID, Data: t.data}
		if rung == RungPhone {
			item.Template.Phone = first.phone
		}
		s.pushes, rest = list[:1], list[1:] // a template says one thing
	} else {
		var m bot.Message
		m, s.pushes, rest = f.together(list)
		s.cost = f.known.Cost(rung, "")
		item.Message, item.InReplyAt = &m, first.interacted
	}
	from, to := e.settings.Night()
	if first.class != Urgent && !e.anyHour && from != to {
		item.NotAfter = next(e.now, from)
	}
	for _, c := range s.pushes {
		item.Refs = append(item.Refs, c.source)
	}
	s.item = item
	return s, rest
}

// together joins messages under one line that counts them.
func (f *Feeder) together(list []*candidate) (m bot.Message, told, rest []*candidate) {
	if len(list) == 1 {
		return list[0].content.Message, list, nil
	}
	const roomForHead = 120
	room := bot.MaxText - roomForHead
	var texts []string
	for i, c := range list {
		n := units(c.content.Message.Text) + 5
		if i > 0 && n > room {
			rest = list[i:]
			break
		}
		room -= n
		told = append(told, c)
		texts = append(texts, c.content.Message.Text)
		for _, choice := range c.content.Message.Choices {
			if len(m.Choices) < bot.MaxButtons && !has(m.Choices, choice.Payload+choice.URL) {
				m.Choices = append(m.Choices, choice)
			}
		}
	}
	if len(told) == 1 {
		return list[0].content.Message, told, rest
	}
	m.Text = f.texts.Text(list[0].language, "push.digest", map[string]any{"Count": len(told)}) + "\n\n" + strings.Join(texts, "\n\n---\n\n")
	return m, told, rest
}

func has(choices []bot.Choice, way string) bool {
	for _, c := range choices {
		if c.Payload+c.URL == way {
			return true
		}
	}
	return false
}
