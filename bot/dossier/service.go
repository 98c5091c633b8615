package dossier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"congdanso/bot"
	"congdanso/bot/seal"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/singleflight"
)

// Options are what a Service stands on. Pool, Ring and Source are required.
type Options struct {
	Pool   *pgxpool.Pool
	Ring   *seal.Keyring
	Source Source
	// Private lists the national codes of procedures that notices do not name.
	Private []string
	// Cache is shared by instances; nil: each remembers for itself.
	Cache Cache
	// TTL is how long an answer of the procedure system is told again without
	// asking (default a minute, the age residents accept as "now"). The time told
	// with it is always that of the answer.
	TTL time.Duration
	// Budget bounds each call with all its requests (default 6 s, so that a turn
	// ends within its 8).
	Budget time.Duration
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default slog.Default()
}

// Service answers residents' questions about dossiers. It is safe for
// concurrent use.
type Service struct {
	store   *Store
	source  Source
	answers answers
	flight  singleflight.Group
	private map[string]bool
	budget  time.Duration
	now     func() time.Time
	log     *slog.Logger
	seen    chan seen
}

// cached is how many codes a process remembers answers for (some 2 KB each).
const cached = 10_000

// New returns a service. Its Run writes last known states.
func New(o Options) *Service {
	if o.TTL == 0 {
		o.TTL = time.Minute
	}
	if o.Budget == 0 {
		o.Budget = 6 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Service{
		store: NewStore(o.Pool, o.Ring), source: o.Source, private: map[string]bool{},
		budget: o.Budget, now: o.Now, log: o.Log, seen: make(chan seen, seenQueue),
	}
	s.answers = answers{local: newLRU(cached), shared: o.Cache, ttl: o.TTL, key: s.store.codeHash}
	s.store.now = o.Now
	for _, code := range o.Private {
		s.private[code] = true
	}
	return s
}

// Store returns the service's store, which applies effects, erases and purges.
func (s *Service) Store() *Store { return s.store }

// Lookup returns the public part of a dossier. Errors: ErrNotFound (counted
// against the citizen as an unknown code), *Throttled, *Unavailable with the last
// known state. eventID is the identity of the event that asked: asking again for
// the same event counts once.
func (s *Service) Lookup(ctx context.Context, who bot.CitizenID, eventID string, code Code) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	now := s.now()
	st, err := s.store.standing(ctx, who, eventID, code, now)
	if err != nil {
		return View{}, err
	}
	if until := st.pause(now); !until.IsZero() {
		return View{}, &Throttled{Until: until}
	}
	a, err := s.ask(ctx, code, false)
	if unknown := errors.Is(err, ErrNotFound); unknown || err == nil && st.slow() {
		ctx, cancel := grace(ctx)
		defer cancel()
		if err := s.store.answered(ctx, who, eventID, code, unknown, now); err != nil {
			return View{}, err
		}
	}
	if err != nil {
		var away *Unavailable
		if errors.As(err, &away) && away.Last != nil {
			away.Last.Kept, away.Last.Followed, away.Last.Proven = st.Kept, st.Followed, st.DossierHash != nil
		}
		return View{}, err
	}
	r, proven := a.pick(s.boundTo(st.DossierHash))
	return View{Public: r.Public, SeenAt: a.SeenAt, Proven: proven, Kept: st.Kept, Followed: st.Followed, Others: len(a.Records) - 1}, nil
}

// Prove checks digits (the last four of any phone or identity number on the
// dossier) and returns the detail. Errors: *Wrong, the same for a code that does
// not exist, a dossier without any number, and wrong digits; *Locked; *Closed;
// *Unavailable, which counts nothing. The flow then does GrantProof{code}.
func (s *Service) Prove(ctx context.Context, who bot.CitizenID, eventID string, code Code, digits string) (Detail, error) {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	now := s.now()
	if _, _, err := s.store.open(ctx, s.store.pool, s.store.codeHash(code), s.store.citizenHash(who), now); err != nil {
		// A guess that was already written, by a turn that is repeated, may be the
		// very one that closed the lock: then the guess itself decides.
		known, againErr := s.store.written(ctx, eventID, code, digits)
		if againErr != nil {
			return Detail{}, againErr
		}
		if !known {
			return Detail{}, err
		}
	}
	a, err := s.ask(ctx, code, true)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Detail{}, err
	}
	books, cancelBooks := grace(ctx)
	defer cancelBooks()
	g, err := s.store.guess(books, who, eventID, code, digits, now)
	if err != nil {
		return Detail{}, err
	}
	for _, r := range a.Records {
		if !matches(r.Factors, digits) {
			continue
		}
		if err := s.store.right(books, who, code, g, r.ID); err != nil {
			return Detail{}, err
		}
		return s.detail(ctx, code, r, a.SeenAt), nil
	}
	return Detail{}, g.refusal()
}

// Detail returns the detail while the citizen's proof stands. Errors: ErrNoProof,
// *Unavailable with the last known state.
func (s *Service) Detail(ctx context.Context, who bot.CitizenID, code Code) (Detail, error) {
	ctx, cancel := context.WithTimeout(ctx, s.budget)
	defer cancel()
	st, err := s.store.standing(ctx, who, "", code, s.now())
	if err != nil {
		return Detail{}, err
	}
	if st.DossierHash == nil {
		return Detail{}, ErrNoProof
	}
	a, err := s.ask(ctx, code, true)
	switch {
	case errors.Is(err, ErrNotFound):
		return Detail{}, ErrNoProof
	case err != nil:
		return Detail{}, err
	}
	r, proven := a.pick(s.boundTo(st.DossierHash))
	if !proven { // the code now names another dossier than the one proven
		return Detail{}, ErrNoProof
	}
	return s.detail(ctx, code, r, a.SeenAt), nil
}

// Kept returns what the citizen keeps, newest first, with last known states; the
// procedure system is not asked.
func (s *Service) Kept(ctx context.Context, who bot.CitizenID) ([]Kept, error) {
	kept, err := s.store.kept(ctx, who, s.now())
	for i := range kept {
		if v := kept[i].Last; v != nil {
			v.Private = s.private[v.ProcedureCode]
		}
	}
	return kept, err
}

// Rated reports whether the citizen has rated the service on a dossier.
func (s *Service) Rated(ctx context.Context, who bot.CitizenID, code Code) (rated bool, err error) {
	err = s.store.pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM rating_given WHERE oa_id = $1 AND citizen = $2 AND code_hash = $3)`,
		who.OA, who.User, s.store.codeHash(code)).Scan(&rated)
	if err != nil {
		return false, fmt.Errorf("look for rating: %w", err)
	}
	return rated, nil
}

// boundTo tells the dossier a proof is bound to.
func (s *Service) boundTo(dossierHash []byte) func(id string) bool {
	return func(id string) bool {
		return dossierHash != nil && string(s.store.dossierHash(id)) == string(dossierHash)
	}
}

// detail reads steps, requests and fees. What cannot be read is left out and
// marked: the digits were right, so what is known is told.
func (s *Service) detail(ctx context.Context, code Code, r Record, seenAt time.Time) Detail {
	type fees struct {
		list []Fee
		err  error
	}
	feesCh := make(chan fees, 1)
	go func() {
		list, err := s.source.Fees(ctx, r.ID)
		feesCh <- fees{list, err}
	}()
	d := Detail{Public: r.Public, SeenAt: seenAt, Owner: MaskName(r.Owner), Officer: r.Officer, Phones: r.Phones}
	full, err := s.source.Detail(ctx, r.ID)
	if err == nil {
		d.Public = overlay(full.Public, r.Public)
		d.Private = s.private[d.ProcedureCode]
		d.SeenAt, d.Complete = s.now(), true
		d.Steps, d.Supplements = full.Steps, full.Supplements
		d.Phones = append(slices.Clip(d.Phones), full.Phones...)
		if full.Officer != "" {
			d.Officer = full.Officer
		}
		if full.Owner != "" {
			d.Owner = MaskName(full.Owner)
		}
		s.noticed(code, d.Public, d.SeenAt)
	} else {
		s.log.WarnContext(ctx, "dossier detail unread", "err", err)
	}
	f := <-feesCh
	if f.err == nil {
		d.Fees, d.FeesKnown = f.list, true
	} else {
		s.log.WarnContext(ctx, "dossier fees unread", "err", f.err)
	}
	return d
}

// overlay fills what the detail left empty from the list.
func overlay(detail, list Public) Public {
	p := detail
	if p.Code == "" {
		p.Code, p.NationCode = list.Code, list.NationCode
	}
	if p.Status == StatusUnknown && p.StatusName == "" {
		p.Status, p.StatusName = list.Status, list.StatusName
	}
	if p.ProcedureName == "" {
		p.ProcedureCode, p.ProcedureName = list.ProcedureCode, list.ProcedureName
	}
	if p.AgencyName == "" {
		p.AgencyCode, p.AgencyName = list.AgencyCode, list.AgencyName
	}
	for _, f := range []struct{ to, from *time.Time }{
		{&p.AppliedAt, &list.AppliedAt}, {&p.ReceivedAt, &list.ReceivedAt}, {&p.DueAt, &list.DueAt},
		{&p.FinishedAt, &list.FinishedAt}, {&p.ReturnedAt, &list.ReturnedAt}, {&p.UpdatedAt, &list.UpdatedAt},
	} {
		if f.to.IsZero() {
			*f.to = *f.from
		}
	}
	return p
}

// ask returns what the procedure system says about a code, from the cache while
// it is fresh. Calls for one code share one request. An error is ErrNotFound or
// *Unavailable with the last known state.
func (s *Service) ask(ctx context.Context, code Code, whole bool) (answer, error) {
	if a, ok := s.answers.get(ctx, code, whole, s.now()); ok {
		return a, nil
	}
	// The first caller may go; those who joined still want the answer.
	joint := context.WithoutCancel(ctx)
	ch := s.flight.DoChan(string(code), func() (any, error) {
		ctx, cancel := context.WithTimeout(joint, s.budget)
		defer cancel()
		return s.fetch(ctx, code)
	})
	var err error
	select {
	case r := <-ch:
		if r.Err == nil {
			return r.Val.(answer), nil
		}
		err = r.Err
	case <-ctx.Done():
		err = ctx.Err()
	}
	ctx, cancel := grace(ctx)
	defer cancel()
	last, knownErr := s.store.known(ctx, code)
	if knownErr != nil {
		return answer{}, knownErr
	}
	if last != nil {
		last.Private = s.private[last.ProcedureCode]
	}
	if errors.Is(err, ErrNotFound) {
		// Seen a short while ago and gone: a replica that lags, rather than a
		// dossier that never was.
		if last == nil || s.now().Sub(last.SeenAt) > lagged {
			return answer{}, ErrNotFound
		}
		err = fmt.Errorf("a dossier seen at %s is missing", at(last.SeenAt))
	}
	away := &Unavailable{Last: last, Err: err}
	var cause *Unavailable
	if errors.As(err, &cause) {
		away.RetryAfter = cause.RetryAfter
	}
	return answer{}, away
}

// grace gives our own database a second after the procedure system has used up
// the budget: the answer is known by then, and only has to be written down.
func grace(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Second)
}

// lagged is how long a dossier that was seen is not taken for unknown.
const lagged = 24 * time.Hour

// fresh asks the procedure system, whatever is remembered, and has the answer
// remembered. The error is ErrNotFound, or says why it could not be asked.
func (s *Service) fresh(ctx context.Context, code Code) (records []Record, seenAt time.Time, err error) {
	a, err := s.fetch(ctx, code)
	return a.Records, a.SeenAt, err
}

func (s *Service) fetch(ctx context.Context, code Code) (answer, error) {
	records, err := s.source.Find(ctx, code)
	if err == nil && len(records) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return answer{}, err
	}
	a := answer{Records: records, SeenAt: s.now()}
	for i := range a.Records {
		a.Records[i].Private = s.private[a.Records[i].ProcedureCode]
	}
	s.answers.put(ctx, code, a)
	s.noticed(code, a.Records[0].Public, a.SeenAt)
	return a, nil
}
