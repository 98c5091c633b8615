// Package proceduresim stands in for the province's procedure system: a real HTTP
// handler that speaks iGate's wire, with several hundred invented dossiers and
// every fault such systems have shown, on demand.
//
// Its world is a function of the seed and the calendar. Every working day brings
// the same dossiers, each with a life of its own (received, processed, papers
// wanted, late, returned …), and the clock decides how far that life has come: a
// code that was there yesterday is there tomorrow, after any restart, and moves
// on by itself. Set and Fault change the world for a test, Fill makes it large. All
// people and numbers are invented.
//
// Changes are pushed to us once PushTo said where to: by Run as they happen, or
// when Deliver is called.
package proceduresim

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Paths of the stand-in.
const (
	TokenPath   = "/auth/realms/digo/protocol/openid-connect/token"
	LookPath    = "/pa/dossier-search/dvc" // looks a code up
	ChangesPath = "/pa/dossier/search"     // lists what changed
)

// Options are the stand-in's settings. The zero value works.
type Options struct {
	Now          func() time.Time // default time.Now
	Seed         uint64           // another seed is another world; default 1
	ClientID     string           // default "congdanso"
	ClientSecret string           // default "secret"
	TokenLife    time.Duration    // default 300 s, as Keycloak's
}

// Sim is the stand-in. It is safe for concurrent use.
type Sim struct {
	o        Options
	mux      *http.ServeMux
	requests atomic.Int64

	mu     sync.Mutex
	days   map[string][]*dossier // by yyyymmdd
	fixed  []*dossier
	set    map[string][]event // by code: what tests added to a life
	filled filling            // what Fill added
	push   pushes
	tokens map[string]time.Time
	faults []*fault
	counts map[string]int // requests by path, ids left out
}

// New returns a stand-in.
func New(o Options) *Sim {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.ClientID == "" {
		o.ClientID = "congdanso"
	}
	if o.ClientSecret == "" {
		o.ClientSecret = "secret"
	}
	if o.TokenLife == 0 {
		o.TokenLife = 300 * time.Second
	}
	s := &Sim{
		o: o, mux: http.NewServeMux(), days: map[string][]*dossier{}, set: map[string][]event{},
		tokens: map[string]time.Time{}, counts: map[string]int{},
		push: pushes{wake: make(chan struct{}, 1)},
	}
	s.fixed = s.fixedDossiers()
	s.mux.HandleFunc("POST "+TokenPath, s.token)
	s.mux.HandleFunc("GET "+LookPath, s.authorised(s.search))
	s.mux.HandleFunc("GET /pa/dossier/{id}/--online", s.authorised(s.detail))
	s.mux.HandleFunc("GET /pa/dossier-fee/--by-dossiers", s.authorised(s.fees))
	s.mux.HandleFunc("GET "+ChangesPath, s.authorised(s.changes))
	s.mux.HandleFunc("GET /bd/procedure/--can-apply", s.authorised(s.procedures))
	s.mux.HandleFunc("GET /bd/procedure/{id}", s.authorised(s.procedure))
	return s
}

// ServeHTTP serves the API and the token endpoint.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	path := r.URL.Path
	if strings.HasPrefix(path, "/pa/dossier/") && strings.HasSuffix(path, "/--online") {
		path = "/pa/dossier/{id}/--online"
	}
	s.mu.Lock()
	s.counts[path]++
	s.mu.Unlock()
	code := ""
	if path != TokenPath {
		code = s.codeAsked(r)
	}
	if s.misbehave(w, r, path, code) {
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Requests counts the requests served so far, tokens included.
func (s *Sim) Requests() int { return int(s.requests.Load()) }

// RequestsTo counts those to one path; a dossier's id is written "{id}".
func (s *Sim) RequestsTo(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[path]
}

// Looks counts look-ups by code.
func (s *Sim) Looks() int { return s.RequestsTo(LookPath) }

// Lists counts requests for the list of changes.
func (s *Sim) Lists() int { return s.RequestsTo(ChangesPath) }

// RevokeTokens makes every token given out so far invalid, as a restart of the
// sign-in server does.
func (s *Sim) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// token serves client_credentials.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	good := subtle.ConstantTimeCompare([]byte(id+"\x00"+secret), []byte(s.o.ClientID+"\x00"+s.o.ClientSecret)) == 1
	switch {
	case !ok || !good:
		answer(w, http.StatusUnauthorized, object{"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"})
		return
	case r.FormValue("grant_type") != "client_credentials":
		answer(w, http.StatusBadRequest, object{"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"})
		return
	}
	raw := make([]byte, 24)
	rand.Read(raw)
	value := hex.EncodeToString(raw)
	s.mu.Lock()
	s.tokens[value] = s.o.Now().Add(s.o.TokenLife)
	s.mu.Unlock()
	answer(w, http.StatusOK, object{"access_token": value, "expires_in": int(s.o.TokenLife.Seconds()), "token_type": "Bearer"})
}

func (s *Sim) authorised(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		ends, ok := s.tokens[bearer]
		s.mu.Unlock()
		if !ok || !s.o.Now().Before(ends) {
			springError(w, r, http.StatusUnauthorized, "Full authentication is required to access this resource")
			return
		}
		h(w, r)
	}
}

// search serves the public look-up by code or national code.
func (s *Sim) search(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	content := []any{}
	for _, d := range s.byCode(code) {
		content = append(content, s.wire(d, false, s.quirks(d.code)))
	}
	answer(w, http.StatusOK, slice(content))
}

func (s *Sim) detail(w http.ResponseWriter, r *http.Request) {
	d := s.byID(r.PathValue("id"))
	if d == nil {
		springError(w, r, http.StatusNotFound, "dossier not found")
		return
	}
	answer(w, http.StatusOK, s.wire(d, true, s.quirks(d.code)))
}

func (s *Sim) fees(w http.ResponseWriter, r *http.Request) {
	list := []any{}
	for _, id := range strings.Split(r.URL.Query().Get("dossier-ids"), ",") {
		if d := s.byID(id); d != nil {
			list = append(list, s.wireFees(d)...)
		}
	}
	answer(w, http.StatusOK, list)
}

// changes serves the dossiers changed since updated-from, newest first.
func (s *Sim) changes(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, err := time.Parse("2006-01-02T15:04:05.000-0700", q.Get("updated-from"))
	if err != nil {
		springError(w, r, http.StatusBadRequest, "updated-from")
		return
	}
	page, size := number(q, "page", 0), max(number(q, "size", 20), 1)
	listed, more := s.changedSince(from, page*size, size)
	content := []any{}
	for _, d := range listed {
		content = append(content, s.wire(d, false, s.quirks(d.code)))
	}
	answer(w, http.StatusOK, object{"content": content, "number": page, "size": size, "last": !more})
}

func (s *Sim) procedures(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	keyword := strings.ToLower(q.Get("keyword"))
	page, size := number(q, "page", 0), number(q, "size", 20)
	var hits []any
	for i, p := range catalogue {
		if strings.Contains(strings.ToLower(p.name), keyword) || strings.Contains(p.code, keyword) {
			hits = append(hits, wireProcedure(i, p))
		}
	}
	content := hits[min(page*size, len(hits)):min((page+1)*size, len(hits))]
	answer(w, http.StatusOK, object{
		"content": content, "number": page, "size": size, "last": (page+1)*size >= len(hits),
		"totalElements": len(hits), "totalPages": (len(hits) + size - 1) / max(size, 1),
	})
}

func (s *Sim) procedure(w http.ResponseWriter, r *http.Request) {
	for i, p := range catalogue {
		if procedureID(i) == r.PathValue("id") {
			answer(w, http.StatusOK, wireProcedure(i, p))
			return
		}
	}
	springError(w, r, http.StatusNotFound, "procedure not found")
}

type object = map[string]any

func slice(content []any) object {
	return object{"content": content, "number": 0, "size": 10, "last": true}
}

func number(q url.Values, key string, otherwise int) int {
	n := otherwise
	if _, err := fmt.Sscanf(q.Get(key), "%d", &n); err != nil || n < 0 || n > 1000 {
		return otherwise
	}
	return n
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// springError answers as Spring does by default.
func springError(w http.ResponseWriter, r *http.Request, status int, message string) {
	answer(w, status, object{
		"timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000-0700"), "status": status,
		"error": http.StatusText(status), "message": message, "path": r.URL.Path,
	})
}
