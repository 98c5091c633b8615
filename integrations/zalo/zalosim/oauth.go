package zalosim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// The codes of the token call (Zalo: OAuth codes).
const (
	codeBadApp     = -14002
	codeBadSecret  = -14004
	codeBadCode    = -14005
	codeBadRefresh = -14014
	codeBadGrant   = -14018
)

// oauth keeps the grants: each has one living access token and one refresh
// token, which works once.
type oauth struct {
	mu        sync.Mutex
	access    map[string]*grant
	stale     map[string]bool // access tokens replaced by newer ones
	refresh   map[string]*grant
	codes     map[string]consent
	refreshes int
}

type grant struct {
	access, refresh         string
	accessEnds, refreshEnds time.Time
}

type consent struct {
	challenge string
	ends      time.Time
}

func (o *oauth) init() {
	o.access, o.refresh = map[string]*grant{}, map[string]*grant{}
	o.stale, o.codes = map[string]bool{}, map[string]consent{}
}

// check returns 0 for a token that lives, else the code that refuses it.
func (o *oauth) check(token string, now time.Time, opt *Options) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch g := o.access[token]; {
	case g != nil && now.Before(g.accessEnds):
		return 0
	case g != nil, o.stale[token]:
		return opt.StaleTokenCode
	}
	return opt.UnknownTokenCode
}

// RefreshToken opens a new grant and returns its refresh token, as the API
// Explorer of Zalo's console does.
func (s *Sim) RefreshToken() string { return s.newGrant().refresh }

// AccessToken opens a new grant and returns its access token.
func (s *Sim) AccessToken() string { return s.newGrant().access }

func (s *Sim) newGrant() grant {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	g := &grant{}
	s.oauth.issue(g, s.clock.Now(), &s.opt)
	return *g
}

// AuthCode does what an administrator of the account does on the consent page,
// and returns the code of the redirect. Challenge is that of the PKCE pair.
func (s *Sim) AuthCode(challenge string) string {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	code := secret("CODE-")
	s.oauth.codes[code] = consent{challenge: challenge, ends: s.clock.Now().Add(codeLife)}
	return code
}

// RevokeGrants voids every token, as changing the permissions in the console does.
func (s *Sim) RevokeGrants() {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	s.oauth.access, s.oauth.refresh = map[string]*grant{}, map[string]*grant{}
}

// ExpireAccess makes every access token that lives now refused as expired; the
// refresh tokens still work.
func (s *Sim) ExpireAccess() {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	for token := range s.oauth.access {
		s.oauth.stale[token] = true
	}
	clear(s.oauth.access)
}

// Refreshes counts the refresh calls that were answered with new tokens.
func (s *Sim) Refreshes() int {
	s.oauth.mu.Lock()
	defer s.oauth.mu.Unlock()
	return s.oauth.refreshes
}

// issue gives a grant a new pair and voids the old one. The caller holds mu.
func (o *oauth) issue(g *grant, now time.Time, opt *Options) {
	if g.access != "" {
		delete(o.access, g.access)
		o.stale[g.access] = true
	}
	g.access, g.accessEnds = secret("AT-"), now.Add(opt.AccessTokenLife)
	o.access[g.access] = g
	if g.refresh == "" || !opt.KeepRefreshToken {
		delete(o.refresh, g.refresh)
		g.refresh = secret("RT-")
		o.refresh[g.refresh] = g
	}
	g.refreshEnds = now.Add(opt.RefreshTokenLife)
}

// token answers the token call.
func (s *Sim) token(c *call) answer {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return s.deny(codeBadGrant, "Invalid grant type.")
	}
	switch {
	case form.Get("app_id") != s.opt.AppID:
		return s.deny(codeBadApp, "Invalid app id.")
	case c.header.Get("secret_key") != s.opt.AppSecret:
		return s.deny(codeBadSecret, "Invalid secret key.")
	}
	o := &s.oauth
	o.mu.Lock()
	defer o.mu.Unlock()
	var g *grant
	switch form.Get("grant_type") {
	case "refresh_token":
		g = o.refresh[form.Get("refresh_token")]
		if g == nil || !c.now.Before(g.refreshEnds) {
			return s.deny(codeBadRefresh, "Invalid refresh token.")
		}
		o.refreshes++
	case "authorization_code":
		code := form.Get("code")
		given, found := o.codes[code]
		delete(o.codes, code)
		if !found || !c.now.Before(given.ends) || challengeOf(form.Get("code_verifier")) != given.challenge {
			return s.deny(codeBadCode, "Invalid code.")
		}
		g = &grant{}
	default:
		return s.deny(codeBadGrant, "Invalid grant type.")
	}
	o.issue(g, c.now, &s.opt)
	body := newObject(300, false).str("access_token", g.access)
	if !s.opt.KeepRefreshToken || form.Get("grant_type") != "refresh_token" {
		body.str("refresh_token", g.refresh)
	}
	life := int64(s.opt.AccessTokenLife / time.Second)
	if s.opt.NumericExpiry {
		body.num("expires_in", life)
	} else {
		body.str("expires_in", strconv.FormatInt(life, 10))
	}
	return answer{body: body.bytes()}
}

// deny answers HTTP 200 without an access token.
func (s *Sim) deny(code int64, name string) answer {
	o := newObject(300, false)
	if !s.opt.NamedOAuthErrors {
		o.num("error", code)
	}
	o.str("error_name", name).str("error_reason", "").str("error_description", name).
		str("ref_doc", "https://developers.zalo.me/docs/official-account")
	return answer{body: o.bytes()}
}

func grantType(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get("grant_type")
}

// challengeOf makes the PKCE challenge of a verifier.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func secret(prefix string) string {
	b := make([]byte, 20)
	rand.Read(b)
	return prefix + hex.EncodeToString(b)
}
