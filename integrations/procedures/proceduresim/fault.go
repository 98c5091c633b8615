package proceduresim

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is a way in which a procedure system misbehaves.
type Kind string

// Faults of the wire.
const (
	Slow         Kind = "slow"         // answers after Delay
	Hang         Kind = "hang"         // never answers
	BadGateway   Kind = "bad_gateway"  // 502 with a page of HTML
	SignInPage   Kind = "sign_in_page" // 200 with a page of HTML
	ServerError  Kind = "server_error" // 500 with Spring's JSON
	TooMany      Kind = "too_many"     // 429 with RetryAfter
	Forbidden    Kind = "forbidden"    // 403
	BadRequest   Kind = "bad_request"  // 400
	Absent       Kind = "absent"       // 404
	Unmade       Kind = "unmade"       // 501
	Unauthorised Kind = "unauthorised" // 401, whatever the token
	TokenEnded   Kind = "token_ended"  // all tokens end at this moment, before their time
	Empty        Kind = "empty"        // 200 without content: a replica that lags
	CutOff       Kind = "cut_off"      // the connection breaks in the middle of the body
	Huge         Kind = "huge"         // a body without end
	Garbage      Kind = "garbage"      // 200 with JSON of another kind
)

// Faults of the data.
const (
	NullDue          Kind = "null_due"
	DueBeforeReceipt Kind = "due_before_receipt"
	UnknownStatus    Kind = "unknown_status"
	NamesAsObjects   Kind = "names_as_objects" // one object where a list is usual
	TrailingSpaces   Kind = "trailing_spaces"  // behind the code
	Decomposed       Kind = "decomposed"       // names in decomposed Unicode
	StatusAtOdds     Kind = "status_at_odds"   // the national status says otherwise; 5, 6 and 8 are pushed as 9
	NationCodeOnly   Kind = "nation_code_only" // not found under its own code
)

// Fault is a fault in force.
type Fault struct {
	Kind       Kind
	Code       string        // only for this dossier; empty: for all
	Path       string        // only for paths that begin so; empty: all but the token's
	Times      int           // so many requests, then no more; 0: until removed
	Delay      time.Duration // Slow
	RetryAfter time.Duration // TooMany
}

type fault struct {
	Fault
	left int
}

// Fault puts a fault in force and returns a function that removes it.
func (s *Sim) Fault(f Fault) (remove func()) {
	p := &fault{Fault: f, left: f.Times}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, p)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(q *fault) bool { return q == p })
	}
}

// ClearFaults removes all faults.
func (s *Sim) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// take returns the first fault of the wire for a request, counting it down.
func (s *Sim) take(path, code string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Kind.ofData() || !f.concerns(path, code) {
			continue
		}
		if f.Times > 0 {
			if f.left--; f.left == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f.Fault, true
	}
	return Fault{}, false
}

func (f *fault) concerns(path, code string) bool {
	if f.Code != "" && !strings.EqualFold(f.Code, code) {
		return false
	}
	if f.Path == "" {
		return path != TokenPath
	}
	return strings.HasPrefix(path, f.Path)
}

func (k Kind) ofData() bool {
	switch k {
	case NullDue, DueBeforeReceipt, UnknownStatus, NamesAsObjects, TrailingSpaces, Decomposed, StatusAtOdds, NationCodeOnly:
		return true
	}
	return false
}

// quirks are the faults of the data in force for a dossier.
func (s *Sim) quirks(code string) map[Kind]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quirksOf(code)
}

// quirksOf is quirks for who holds s.mu.
func (s *Sim) quirksOf(code string) map[Kind]bool {
	q := map[Kind]bool{}
	for _, f := range s.faults {
		if f.Kind.ofData() && (f.Code == "" || strings.EqualFold(f.Code, code)) {
			q[f.Kind] = true
		}
	}
	return q
}

// codeAsked says which dossier a request is about; empty when about none.
func (s *Sim) codeAsked(r *http.Request) string {
	if code := r.URL.Query().Get("code"); code != "" {
		return code
	}
	id := r.URL.Query().Get("dossier-ids")
	if rest, ok := strings.CutPrefix(r.URL.Path, "/pa/dossier/"); ok {
		id = strings.TrimSuffix(rest, "/--online")
	}
	if d := s.byID(id); d != nil {
		return d.code
	}
	return ""
}

// misbehave carries out the fault in force for a request, and reports whether
// that was the answer.
func (s *Sim) misbehave(w http.ResponseWriter, r *http.Request, path, code string) bool {
	f, ok := s.take(path, code)
	if !ok {
		return false
	}
	page := func(status int, title string) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>"))
	}
	switch f.Kind {
	case Slow:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
		return false
	case Hang:
		_, _ = io.Copy(io.Discard, r.Body) // only then does net/http notice a caller who leaves
		<-r.Context().Done()
	case BadGateway:
		page(http.StatusBadGateway, "502 Bad Gateway")
	case SignInPage:
		page(http.StatusOK, "Sign in")
	case ServerError:
		springError(w, r, http.StatusInternalServerError, "I/O error on GET request")
	case TooMany:
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
		springError(w, r, http.StatusTooManyRequests, "rate limit")
	case Forbidden:
		springError(w, r, http.StatusForbidden, "Access is denied")
	case BadRequest:
		springError(w, r, http.StatusBadRequest, "Required request parameter is not present")
	case Absent:
		springError(w, r, http.StatusNotFound, "No message available")
	case Unmade:
		springError(w, r, http.StatusNotImplemented, "Not Implemented")
	case Unauthorised:
		springError(w, r, http.StatusUnauthorized, "Full authentication is required to access this resource")
	case TokenEnded:
		s.RevokeTokens()
		return false
	case Empty:
		answer(w, http.StatusOK, slice([]any{}))
	case CutOff:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "4096")
		_, _ = w.Write([]byte(`{"content":[{"id":"66691a7be4b0`))
		panic(http.ErrAbortHandler) // net/http's way to break a connection
	case Huge:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"content":["`))
		for chunk := []byte(strings.Repeat("x", 1<<16)); ; {
			if _, err := w.Write(chunk); err != nil {
				break
			}
		}
	case Garbage:
		answer(w, http.StatusOK, object{"message": "ok", "data": []any{1, 2}})
	default:
		return false
	}
	return true
}
