// Package chatpage is a development page that behaves like Zalo on a phone, so
// that a developer or an official without a Zalo account meets exactly what a
// resident meets.
//
// It plays people through the Zalo stand-in: what is typed or tapped here leaves
// as a signed webhook, and what the channel answers comes back through the API
// the stand-in serves. Beside the phone stand the raw webhooks and API calls.
//
// The page is rendered on the server and works without script; with script it is
// live over one EventSource a tab (live.go). It loads nothing from elsewhere, and
// by default answers only this machine. It owns no data, and is the only package
// under bot that knows an integration, because it is no part of the product.
package chatpage

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"congdanso/bot"
	"congdanso/integrations/zalo/zalosim"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// Options are what a Page is told about its surroundings.
type Options struct {
	Texts       bot.Texts // the page's own words, keys chatpage.*
	AccountName string    // as it stands on top of the phone
	Prefix      string    // where the page is mounted; empty: /chat
	Menu        []MenuItem
	Samples     []Sample
	// Remote answers other machines too. It is for somebody who has decided to
	// listen beyond loopback; the page lets everybody write as anybody.
	Remote bool
}

// MenuItem is one entry of the bar at the bottom of the phone, which an account's
// operator sets up at Zalo: a tap sends Payload, or opens URL.
type MenuItem struct{ Title, Payload, URL string }

// Sample is a dossier to try, so that a newcomer knows what to type.
type Sample struct {
	Code   string // sent when tapped
	What   string // its state, in words
	Factor string // the second factor that opens it; empty: there is none
}

// Page is the chat page, an http.Handler for everything below its prefix.
type Page struct {
	sim       *zalosim.Sim
	opt       Options
	templates *template.Template
	handler   http.Handler

	closeOnce sync.Once
	closed    chan struct{}

	joining sync.Mutex // held while a citizen is added, so that no two get one name

	mu     sync.Mutex
	looked map[string]string          // user → the newest message of the account they have looked at
	taken  map[string]map[string]bool // user → what of theirs the channel has acknowledged
}

// New makes the page over sim. So that badges count what is unread and "seen" is
// told only when the chat is really open, sim should have been made with
// SeenByHand.
func New(sim *zalosim.Sim, opt Options) *Page {
	if opt.Prefix == "" {
		opt.Prefix = "/chat"
	}
	p := &Page{
		sim:       sim,
		opt:       opt,
		templates: template.Must(template.ParseFS(templateFiles, "templates/*.html")),
		closed:    make(chan struct{}),
		looked:    map[string]string{},
		taken:     map[string]map[string]bool{},
	}
	assets, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	at := opt.Prefix
	mux.HandleFunc("GET "+at, p.first)
	mux.HandleFunc("GET "+at+"/{$}", p.first)
	mux.HandleFunc("GET "+at+"/u/{user}", p.chat)
	mux.HandleFunc("GET "+at+"/u/{user}/live", p.live)
	mux.HandleFunc("POST "+at+"/u/{user}/{act}", p.act)
	mux.HandleFunc("POST "+at+"/citizens", p.addCitizen)
	mux.Handle("GET "+at+"/assets/", http.StripPrefix(at+"/assets/", http.FileServerFS(assets)))
	p.handler = http.NewCrossOriginProtection().Handler(mux)
	return p
}

// Close ends the live connections, which a server that shuts down gracefully
// would otherwise wait for (http.Server.RegisterOnShutdown).
func (p *Page) Close() { p.closeOnce.Do(func() { close(p.closed) }) }

// policy lets the page load its own files and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP answers everything below the prefix.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !p.opt.Remote && !fromThisMachine(r) {
		http.Error(w, p.words(r).T("forbidden"), http.StatusForbidden)
		return
	}
	p.handler.ServeHTTP(w, r)
}

// fromThisMachine reports whether both ends of the request are on loopback. The
// name asked for counts too: a foreign page can point its own name at 127.0.0.1.
func fromThisMachine(r *http.Request) bool {
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !isLoopback(remote) {
		return false
	}
	return isLoopback(hostname(r.Host))
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// first opens the first citizen's chat, or the page without anybody.
func (p *Page) first(w http.ResponseWriter, r *http.Request) {
	if users := p.sim.Users(); len(users) > 0 {
		to := p.opt.Prefix + "/u/" + users[0].ID
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	p.show(w, r, http.StatusOK, p.view(p.remember(w, r), zalosim.User{}, r.Host))
}

func (p *Page) chat(w http.ResponseWriter, r *http.Request) {
	user, ok := p.user(w, r)
	if !ok {
		return
	}
	p.look(user.ID)
	p.show(w, r, http.StatusOK, p.view(p.remember(w, r), user, r.Host))
}

// user finds the citizen the path names, or answers 404.
func (p *Page) user(w http.ResponseWriter, r *http.Request) (zalosim.User, bool) {
	id := r.PathValue("user")
	for _, u := range p.sim.Users() {
		if u.ID == id {
			return u, true
		}
	}
	http.Error(w, p.words(r).T("gone"), http.StatusNotFound)
	return zalosim.User{}, false
}

// look tells the account that a citizen has the chat open before them. It tells
// so once for each newest message, so that a stand-in that sends no receipts is
// not asked for ever.
func (p *Page) look(user string) {
	newest := ""
	for _, m := range p.sim.Messages(user) {
		if !m.FromUser {
			newest = m.ID
		}
	}
	p.mu.Lock()
	seen := p.looked[user] == newest
	p.looked[user] = newest
	p.mu.Unlock()
	if !seen {
		p.sim.See(user)
	}
}

// show renders the whole page. It is rendered into memory first, so that a fault
// in a template is an error and not half a page.
func (p *Page) show(w http.ResponseWriter, r *http.Request, status int, v *view) {
	var page bytes.Buffer
	if err := p.templates.ExecuteTemplate(&page, "page.html", v); err != nil {
		slog.ErrorContext(r.Context(), "render chat page", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := page.WriteTo(w); err != nil && !errors.Is(err, net.ErrClosed) {
		slog.DebugContext(r.Context(), "send chat page", "error", err)
	}
}

// words are the page's own texts in the language a browser has chosen, and the
// size it wants them in.
type words struct {
	texts bot.Texts
	Lang  string
	Large bool
}

// T finds one of the page's texts; pairs alternate names and values.
func (w words) T(key string, pairs ...any) string {
	return w.texts.Text(w.Lang, "chatpage."+key, bot.Pairs(pairs...))
}

const (
	langCookie = "chatpage_lang"
	typeCookie = "chatpage_type"
)

// words reads the choice from the address, else from the cookies.
func (p *Page) words(r *http.Request) words {
	return words{
		texts: p.opt.Texts,
		Lang:  choice(r, "lang", langCookie, bot.Vietnamese, bot.English),
		Large: choice(r, "type", typeCookie, "normal", "large") == "large",
	}
}

// remember is words, and keeps what the address chose in cookies.
func (p *Page) remember(w http.ResponseWriter, r *http.Request) words {
	chosen := p.words(r)
	keep := func(name, value string) {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: p.opt.Prefix,
			MaxAge: int((365 * 24 * time.Hour).Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	if r.URL.Query().Has("lang") {
		keep(langCookie, chosen.Lang)
	}
	if r.URL.Query().Has("type") {
		keep(typeCookie, map[bool]string{true: "large", false: "normal"}[chosen.Large])
	}
	return chosen
}

// choice is the one of two values that the query, else the cookie, names; the
// first when neither does.
func choice(r *http.Request, query, cookie, first, second string) string {
	value := r.URL.Query().Get(query)
	if value == "" {
		if c, err := r.Cookie(cookie); err == nil {
			value = c.Value
		}
	}
	if value == second {
		return second
	}
	return first
}

// render executes one named part of the page.
func (p *Page) render(name string, data any) (string, error) {
	var b strings.Builder
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("render %s: %w", name, err)
	}
	return b.String(), nil
}
