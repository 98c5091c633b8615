// Package flowtest holds the world in which the dialogues' transcripts play: a
// procedure system, profiles and consents in memory, with the rules residents
// notice (tries, locks, throttling, an outage), and nothing else.
package flowtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/bot"
	"congdanso/bot/bottest"
	"congdanso/bot/citizen"
	"congdanso/bot/dossier"
	"congdanso/bot/push"
	"congdanso/bot/runtime"
	"congdanso/bot/understand"
	"congdanso/content"
	"congdanso/flows"
)

// Zone is where people live.
var Zone = time.FixedZone("Asia/Ho_Chi_Minh", 7*3600)

// Run plays the transcripts that match pattern against all dialogues.
func Run(t *testing.T, pattern string) {
	t.Helper()
	bottest.Run(t, pattern, Open)
}

// Open makes a new world with every dialogue, the embedded content and the
// understanding of free text that the channel uses.
func Open(t testing.TB) *bottest.World {
	t.Helper()
	return open(t, content.WithPublicURL("https://congdanso.example.vn"))
}

// OpenSample is Open with the sample facts of the province filled in.
func OpenSample(t testing.TB) *bottest.World {
	t.Helper()
	return open(t, content.WithPublicURL("https://congdanso.example.vn"), content.WithSample())
}

// Library is the embedded content.
func Library(t testing.TB, opts ...content.Option) *content.Library {
	t.Helper()
	l, err := content.Load(content.Files(""), Zone, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// understanding is read once; it holds nothing of a conversation.
var understanding = sync.OnceValues(func() (*understand.Understander, error) {
	return understand.New(content.Files(""))
})

func open(t testing.TB, opts ...content.Option) *bottest.World {
	t.Helper()
	library := Library(t, opts...)
	reader, err := understanding()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	receipts := 0
	all := flows.All(flows.Deps{
		Content: library, Dossiers: w, Citizens: w, Pushes: pushes{w}, Notices: noticed{w}, Units: communes(t),
		Night:   func() (from, to int) { return 22 * 60, 6 * 60 },
		Receipt: func() string { receipts++; return fmt.Sprintf("7K3F-92Q%c", 'C'+receipts) },
	})
	router, err := runtime.NewRouter(reader, all...)
	if err != nil {
		t.Fatal(err)
	}
	return &bottest.World{
		Router: router, Texts: library, Given: w.given, Apply: w.apply, Profile: w.profile,
		Clock: func(now time.Time) { w.now = now },
	}
}

// world is what the fakes hold.
type world struct {
	now      time.Time
	dossiers map[dossier.Code]*held
	people   map[bot.CitizenID]*person
	down     bool
	strict   bool // any unknown code is one too many
}

// held is a dossier in the procedure system.
type held struct {
	view    dossier.View
	detail  dossier.Detail
	factors []string
	seen    *dossier.View // last known state
	wrong   int           // of all citizens together
	noSteps bool
}

// person is what is kept of somebody.
type person struct {
	citizen.Overview
	name, phone string
	kept        []dossier.Kept
	proofs      map[dossier.Code]time.Time // until when
	wrong       map[dossier.Code]int
	locked      map[dossier.Code]time.Time
	pending     map[dossier.Code]bool // right guesses of the turn
	waiting     map[dossier.Code]bool
	rated       map[dossier.Code]bool
	told        told
}

func newWorld() *world {
	return &world{dossiers: map[dossier.Code]*held{}, people: map[bot.CitizenID]*person{}}
}

func (w *world) person(who bot.CitizenID) *person {
	p := w.people[who]
	if p == nil {
		p = &person{
			Overview: citizen.Overview{Language: bot.Vietnamese, Since: w.now},
			proofs:   map[dossier.Code]time.Time{}, wrong: map[dossier.Code]int{},
			locked: map[dossier.Code]time.Time{}, pending: map[dossier.Code]bool{}, waiting: map[dossier.Code]bool{},
			rated: map[dossier.Code]bool{},
			told:  told{preferences: push.Preferences{DigestAt: -1}},
		}
		w.people[who] = p
	}
	return p
}

// profile fills in what is kept of a citizen.
func (w *world) profile(c *bot.Citizen) {
	p := w.people[c.ID]
	if p == nil {
		c.Name, c.Phone = "", ""
		return
	}
	c.Name, c.Phone = p.name, p.phone
}

// Overview is what is kept of a citizen.
func (w *world) Overview(_ context.Context, who bot.CitizenID) (citizen.Overview, error) {
	p := w.person(who)
	o := p.Overview
	o.Name, o.MaskedPhone = p.name, citizen.MaskPhone(p.phone)
	return o, nil
}

// find finds a dossier by its code or its code at the national portal.
func (w *world) find(code dossier.Code) *held {
	if d := w.dossiers[code]; d != nil {
		return d
	}
	for _, d := range w.dossiers {
		if d.view.NationCode == code {
			return d
		}
	}
	return nil
}

// Lookup returns the public part.
func (w *world) Lookup(_ context.Context, who bot.CitizenID, _ string, code dossier.Code) (dossier.View, error) {
	d, p := w.find(code), w.person(who)
	if w.down {
		away := &dossier.Unavailable{}
		if d != nil && d.seen != nil {
			last := *d.seen
			away.Last = &last
		}
		return dossier.View{}, away
	}
	if d == nil {
		if w.strict {
			return dossier.View{}, &dossier.Throttled{Until: w.now.Add(41 * time.Second)}
		}
		return dossier.View{}, dossier.ErrNotFound
	}
	v := d.view
	v.SeenAt = w.now
	last := v
	d.seen = &last
	v.Proven = w.now.Before(p.proofs[code])
	for _, k := range p.kept {
		if k.Code == code {
			v.Kept, v.Followed = true, k.Followed
		}
	}
	return v, nil
}

// follow begins or ends the telling of a dossier, of all where code is empty.
func (p *person) follow(code dossier.Code, on bool) {
	for i := range p.kept {
		if code == "" || p.kept[i].Code == code {
			p.kept[i].Followed = on
		}
	}
}

func (p *person) keeps(code dossier.Code) bool {
	for _, k := range p.kept {
		if k.Code == code {
			return true
		}
	}
	return false
}

// Prove checks the second factor.
func (w *world) Prove(_ context.Context, who bot.CitizenID, _ string, code dossier.Code, digits string) (dossier.Detail, error) {
	d, p := w.find(code), w.person(who)
	if until := p.locked[code]; w.now.Before(until) {
		return dossier.Detail{}, &dossier.Locked{Until: until}
	}
	midnight := time.Date(2024, 6, 15, 0, 0, 0, 0, Zone)
	if d != nil && d.wrong >= 30 {
		return dossier.Detail{}, &dossier.Closed{Until: midnight}
	}
	if w.down {
		return dossier.Detail{}, &dossier.Unavailable{}
	}
	if d != nil {
		for _, f := range d.factors {
			if f == digits {
				p.pending[code] = true
				return w.tell(d), nil
			}
		}
		if d.wrong++; d.wrong == 30 {
			return dossier.Detail{}, &dossier.Closed{Until: midnight, Alert: true}
		}
	}
	if p.wrong[code]++; p.wrong[code] >= 5 {
		p.wrong[code] = 0
		p.locked[code] = w.now.Add(time.Hour)
		return dossier.Detail{}, &dossier.Locked{Until: p.locked[code]}
	}
	return dossier.Detail{}, &dossier.Wrong{Left: 5 - p.wrong[code]}
}

func (w *world) tell(d *held) dossier.Detail {
	detail := d.detail
	detail.Public, detail.SeenAt = d.view.Public, w.now
	detail.Complete = !d.noSteps
	return detail
}

// Detail returns the detail while a proof stands.
func (w *world) Detail(_ context.Context, who bot.CitizenID, code dossier.Code) (dossier.Detail, error) {
	d := w.find(code)
	if d == nil || !w.now.Before(w.person(who).proofs[code]) {
		return dossier.Detail{}, dossier.ErrNoProof
	}
	if w.down {
		return dossier.Detail{}, &dossier.Unavailable{Last: d.seen}
	}
	return w.tell(d), nil
}

// Kept returns what a citizen keeps, newest first.
func (w *world) Kept(_ context.Context, who bot.CitizenID) ([]dossier.Kept, error) {
	p := w.person(who)
	kept := make([]dossier.Kept, 0, len(p.kept))
	for i := len(p.kept) - 1; i >= 0; i-- {
		k := p.kept[i]
		if d := w.find(k.Code); d != nil {
			k.Last = d.seen
		}
		k.Rated = p.rated[k.Code]
		kept = append(kept, k)
	}
	return kept, nil
}

// Rated reports whether a citizen has rated a dossier.
func (w *world) Rated(_ context.Context, who bot.CitizenID, code dossier.Code) (bool, error) {
	return w.person(who).rated[code], nil
}

// apply carries out an effect.
func (w *world) apply(a bot.Applied) error {
	p := w.person(a.Citizen)
	switch e := a.Effect.(type) {
	case citizen.SetLanguage:
		p.Language = e.Lang
	case citizen.SetContact:
		p.name, p.phone = e.Name, e.Phone
	case citizen.ProvePhone:
	case citizen.ClearContact:
		p.name, p.phone = "", ""
	case citizen.GiveConsent:
		for _, c := range p.Consents {
			if c.Purpose == e.Purpose && c.WithdrawnAt.IsZero() {
				return nil
			}
		}
		p.Consents = append([]citizen.Consent{{Purpose: e.Purpose, TextVersion: e.TextVersion, Channel: e.Channel, GivenAt: a.At}}, p.Consents...)
	case citizen.WithdrawConsent:
		p.withdraw(e.Purpose, a.At)
	case citizen.WithdrawAll:
		p.withdraw("", a.At)
	case citizen.Erase:
		delete(w.people, a.Citizen)
	case dossier.Keep:
		if !p.keeps(e.Code) {
			p.kept = append(p.kept, dossier.Kept{Code: e.Code, At: a.At})
		}
	case dossier.Follow:
		if !p.keeps(e.Code) {
			p.kept = append(p.kept, dossier.Kept{Code: e.Code, At: a.At})
		}
		p.follow(e.Code, true)
	case dossier.Unfollow:
		p.follow(e.Code, false)
	case dossier.UnfollowAll:
		p.follow("", false)
	case dossier.Rate:
		p.rated[e.Code] = true
	case dossier.Drop:
		var left []dossier.Kept
		for _, k := range p.kept {
			if k.Code != e.Code {
				left = append(left, k)
			}
		}
		p.kept = left
	case dossier.DropAll:
		p.kept = nil
	case dossier.GrantProof:
		if !p.pending[e.Code] {
			return fmt.Errorf("a proof of %s without a right guess", e.Code)
		}
		delete(p.pending, e.Code)
		p.proofs[e.Code] = a.At.Add(30 * time.Minute)
		if p.keeps(e.Code) {
			p.proofs[e.Code] = a.At.AddDate(0, 0, 30)
		}
	case dossier.AskCallback:
		p.waiting[e.Code] = true
	case dossier.CancelCallback:
		delete(p.waiting, e.Code)
	case dossier.CancelCallbacks:
		clear(p.waiting)
	default:
		return p.told.apply(a, p)
	}
	return nil
}

func (p *person) withdraw(purpose string, at time.Time) {
	for i := range p.Consents {
		c := &p.Consents[i]
		if c.WithdrawnAt.IsZero() && (purpose == "" || c.Purpose == purpose) {
			c.WithdrawnAt = at
		}
	}
}

// given makes something true.
func (w *world) given(now time.Time, line string) error {
	w.now = now
	what, rest, _ := strings.Cut(line, " ")
	f, err := parseFields(rest)
	if err != nil {
		return err
	}
	switch what {
	case "down":
		w.down = true
		return nil
	case "up":
		w.down = false
		return nil
	case "strict":
		w.strict = true
		return nil
	case "dossier":
		return w.givenDossier(f)
	case "held":
		return w.givenHeld(f)
	}
	d := w.dossiers[dossier.Code(f.name)]
	if d == nil {
		return fmt.Errorf("no dossier %q", f.name)
	}
	switch what {
	case "step":
		d.detail.Steps = append(d.detail.Steps, dossier.Step{Name: f.text("name"), Agency: f.text("agency"),
			Officer: f.text("officer"), At: f.time("at"), Done: f.flag("done"), Comment: f.text("words")})
	case "steps":
		for i := range f.number("count") {
			d.detail.Steps = append(d.detail.Steps, dossier.Step{Name: fmt.Sprintf("%s %d", f.text("name"), i+1),
				Agency: f.text("agency"), At: f.time("at").Add(time.Duration(i) * time.Hour), Done: true, Comment: f.text("words")})
		}
	case "supplement":
		s := dossier.Supplement{Words: f.text("words"), By: f.text("by"), At: f.time("at"),
			OldDue: f.time("olddue"), NewDue: f.time("newdue"), DoneAt: f.time("done")}
		for _, paper := range f.list("papers") {
			name, count, _ := strings.Cut(paper, " x")
			p := dossier.Paper{Name: name}
			_, _ = fmt.Sscan(count, &p.Count)
			s.Papers = append(s.Papers, p)
		}
		d.detail.Supplements = append(d.detail.Supplements, s)
	case "fee":
		d.detail.Fees = append(d.detail.Fees, dossier.Fee{Name: f.text("title"), Amount: int64(f.number("amount")),
			Paid: f.flag("paid"), Required: f.flag("required"), Note: f.text("note")})
	case "incomplete":
		d.noSteps = true
	case "told": // everybody who follows was told of it just now
		for _, p := range w.people {
			for i := range p.kept {
				if p.kept[i].Code == dossier.Code(f.name) && p.kept[i].Followed {
					p.kept[i].ToldAt = now
				}
			}
		}
	case "guessed":
		d.wrong = f.number("count")
	default:
		return fmt.Errorf("nothing called %q can be given", what)
	}
	return f.err
}

func (w *world) givenDossier(f *fields) error {
	code := dossier.Code(f.name)
	d := w.dossiers[code]
	if d == nil {
		d = &held{}
		w.dossiers[code] = d
	}
	d.view = dossier.View{Others: f.number("others"), Public: dossier.Public{
		Code: code, NationCode: dossier.Code(f.text("nation")),
		Status: dossier.Status(f.number("status")), StatusName: f.text("words"),
		ProcedureName: f.text("procedure"), AgencyName: f.text("agency"),
		AppliedAt: f.time("applied"), ReceivedAt: f.time("received"), DueAt: f.time("due"), OldDueAt: f.time("olddue"),
		FinishedAt: f.time("finished"), ReturnedAt: f.time("returned"), UpdatedAt: f.time("updated"),
		Private: f.flag("private"),
	}}
	d.factors, d.detail.Phones = f.list("factors"), f.list("phones")
	d.detail.Owner, d.detail.Officer = dossier.MaskName(f.text("owner")), f.text("officer")
	d.detail.FeesKnown = !f.flag("feesunknown")
	return f.err
}
