// Package pages serves the channel's public pages: whose it is, and what it
// keeps and why. Everything people read there comes from content; the pages are
// plain HTML that works on any phone, without script.
package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"congdanso/bot"
)

//go:embed templates/page.html
var templates embed.FS

// page is a page's words: keys under pages.<name> in content.
type page struct {
	Lang, Other, OtherName string
	Title                  string
	Lead                   string
	Sections               []section
	Foot                   string
}

type section struct{ Title, Text string }

// sections of each page, in their order. Each has the keys
// pages.<page>.<section>.title and .text.
var sections = map[string][]string{
	"about":   {"what", "safe", "who"},
	"privacy": {"kept", "why", "how_long", "rights", "not_asked", "contact"},
}

// Pages holds the handlers.
type Pages struct {
	texts bot.Texts
	files fs.FS
	page  *template.Template
}

// New returns the pages. files is the content: Zalo's proof of the domain lies
// in its folder web, as zalo_verifier….html.
func New(texts bot.Texts, files fs.FS) (*Pages, error) {
	t, err := template.ParseFS(templates, "templates/page.html")
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	return &Pages{texts: texts, files: files, page: t}, nil
}

// Register adds the pages' routes.
func (p *Pages) Register(e *echo.Echo) {
	e.GET("/", func(c echo.Context) error { return p.show(c, "about") })
	e.GET("/privacy", func(c echo.Context) error { return p.show(c, "privacy") })
	e.GET("/:file", p.verifier)
}

func (p *Pages) show(c echo.Context, name string) error {
	lang, other := bot.Vietnamese, bot.English
	if c.QueryParam("lang") == bot.English {
		lang, other = other, lang
	}
	text := func(key string) string { return p.texts.Text(lang, "pages."+key, nil) }
	view := page{
		Lang: lang, Other: other, OtherName: text("other_language"),
		Title: text(name + ".title"), Lead: text(name + ".lead"), Foot: text(name + ".foot"),
	}
	for _, s := range sections[name] {
		sec := section{Title: text(name + "." + s + ".title"), Text: text(name + "." + s + ".text")}
		if sec.Text != "" {
			view.Sections = append(view.Sections, sec)
		}
	}
	var out bytes.Buffer
	if err := p.page.Execute(&out, view); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "public, max-age=300")
	return c.HTMLBlob(http.StatusOK, out.Bytes())
}

// verifier serves the file by which Zalo makes sure that the domain is ours.
func (p *Pages) verifier(c echo.Context) error {
	name := c.Param("file")
	if !strings.HasPrefix(name, "zalo_verifier") || !strings.HasSuffix(name, ".html") || path.Base(name) != name {
		return echo.ErrNotFound
	}
	raw, err := fs.ReadFile(p.files, path.Join("web", name))
	if err != nil {
		return echo.ErrNotFound
	}
	return c.HTMLBlob(http.StatusOK, raw)
}
