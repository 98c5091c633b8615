package broadcast

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"

	"congdanso/bot"
	"congdanso/bot/unit"
)

const (
	// codeLength makes 30⁷ codes; who guesses one finds a page that many were sent.
	codeLength = 7
	// codeLetters leaves out what is mistaken when read aloud or copied.
	codeLetters = "abcdefghjkmnpqrstuvwxyz2346789"
	// ownerBroadcast marks links of broadcasts.
	ownerBroadcast = "broadcast"
	// linkPath is where short links lead.
	linkPath = "/l/"
	// mostCached bounds the addresses a process keeps in memory.
	mostCached = 10_000
	// missFor is how long a code that does not exist is not looked for again.
	missFor = 30 * time.Second
)

// placeholder stands for a short link that is not made yet, for measuring.
func (s *Store) placeholder(url string) string {
	if s.PublicURL == "" {
		return url
	}
	return s.shortURL(strings.Repeat("x", codeLength))
}

func (s *Store) shortURL(code string) string {
	return strings.TrimRight(s.PublicURL, "/") + linkPath + code
}

// shortLinks makes the short links of a broadcast's body, in the caller's
// transaction, and returns Compile's short. An address that was shortened for the
// broadcast before keeps its code, so that every run and language shares it.
func (s *Store) shortLinks(ctx context.Context, tx pgx.Tx, id int64, body Body, now time.Time) (func(string) string, error) {
	urls := body.Links()
	if s.PublicURL == "" || len(urls) == 0 {
		return nil, nil
	}
	codes := make([]string, len(urls))
	for i := range codes {
		codes[i] = newCode()
	}
	// A code that is taken already (one in hundreds of thousands) fails the
	// statement, and the caller's next try makes others.
	_, err := tx.Exec(ctx, `
INSERT INTO link (code, owner_kind, owner_id, url, made_at)
SELECT w.code, $3, $4, w.url, $5 FROM unnest($1::text[], $2::text[]) AS w (code, url)
ON CONFLICT (owner_kind, owner_id, md5(url)) DO NOTHING`, codes, urls, ownerBroadcast, id, now)
	if err != nil {
		return nil, fmt.Errorf("make short links: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT url, code FROM link WHERE owner_kind = $1 AND owner_id = $2`, ownerBroadcast, id)
	if err != nil {
		return nil, fmt.Errorf("read short links: %w", err)
	}
	short := map[string]string{}
	var url, code string
	_, err = pgx.ForEachRow(rows, []any{&url, &code}, func() error {
		short[url] = s.shortURL(code)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read short links: %w", err)
	}
	return func(url string) string {
		if s, ok := short[url]; ok {
			return s
		}
		return url
	}, nil
}

func newCode() string {
	b := make([]byte, codeLength)
	for i := 0; i < len(b); {
		var raw [16]byte
		rand.Read(raw[:]) // never fails: crypto/rand.Read aborts the program instead
		for _, r := range raw {
			// Bytes beyond the last whole round of letters would favour the first ones.
			if n := 256 / len(codeLetters) * len(codeLetters); int(r) < n && i < len(b) {
				b[i] = codeLetters[int(r)%len(codeLetters)]
				i++
			}
		}
	}
	return string(b)
}

// Clicks is how often a link of a broadcast was opened.
type Clicks struct {
	URL    string
	Clicks int64
}

// Clicks counts the openings of a broadcast's links, the most opened first.
func (s *Store) Clicks(ctx context.Context, id int64) ([]Clicks, error) {
	rows, err := s.Pool.Query(ctx, `
SELECT l.url, coalesce(sum(c.clicks), 0)::bigint FROM link l LEFT JOIN link_click c USING (code)
WHERE l.owner_kind = $1 AND l.owner_id = $2 GROUP BY l.code, l.url ORDER BY 2 DESC, 1`, ownerBroadcast, id)
	if err != nil {
		return nil, fmt.Errorf("count clicks: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Clicks])
	if err != nil {
		return nil, fmt.Errorf("count clicks: %w", err)
	}
	return list, nil
}

// Links leads from short links to their pages, and counts: how often, never who.
// Only addresses that stand in a broadcast are led to.
type Links struct {
	pool  *pgxpool.Pool
	texts bot.Texts
	now   func() time.Time

	mu     sync.Mutex
	urls   map[string]string    // by code
	misses map[string]time.Time // codes that did not exist, and when that was found
	clicks map[click]int64      // not yet written
}

type click struct {
	code, day string
}

// NewLinks returns the leader.
func NewLinks(pool *pgxpool.Pool, texts bot.Texts, now func() time.Time) *Links {
	return &Links{pool: pool, texts: texts, now: now,
		urls: map[string]string{}, misses: map[string]time.Time{}, clicks: map[click]int64{}}
}

// Handle answers GET /l/:code. Programs that only look (HEAD) are led, not counted.
func (l *Links) Handle(c echo.Context) error {
	code := c.Param("code")
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store") // or a browser would not come back to be counted
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	url, err := l.find(c.Request().Context(), code)
	if err != nil {
		slog.Error("look up short link", "error", err)
		return c.String(http.StatusServiceUnavailable, l.texts.Text(lang(c), "broadcast.link.later", nil))
	}
	if url == "" {
		return c.String(http.StatusNotFound, l.texts.Text(lang(c), "broadcast.link.unknown", nil))
	}
	if c.Request().Method == http.MethodGet {
		l.count(code)
	}
	return c.Redirect(http.StatusFound, url)
}

// lang is the language for who opened a link: English only where they ask for it.
func lang(c echo.Context) string {
	if strings.HasPrefix(strings.ToLower(c.Request().Header.Get("Accept-Language")), bot.English) {
		return bot.English
	}
	return bot.Vietnamese
}

// find is the address of a code; empty when there is none.
func (l *Links) find(ctx context.Context, code string) (string, error) {
	if len(code) != codeLength || strings.Trim(code, codeLetters) != "" {
		return "", nil
	}
	now := l.now()
	l.mu.Lock()
	url, known := l.urls[code]
	missed, miss := l.misses[code]
	l.mu.Unlock()
	if known || miss && now.Sub(missed) < missFor {
		return url, nil
	}
	err := l.pool.QueryRow(ctx, `SELECT url FROM link WHERE code = $1`, code).Scan(&url)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("find short link: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if len(l.misses) >= mostCached {
			clear(l.misses)
		}
		l.misses[code] = now
		return "", nil
	}
	if len(l.urls) >= mostCached {
		clear(l.urls)
	}
	l.urls[code] = url
	delete(l.misses, code)
	return url, nil
}

func (l *Links) count(code string) {
	day := l.now().In(unit.Zone).Format(time.DateOnly)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clicks[click{code, day}]++
}

// Run writes what was counted every few seconds, and once more when ctx ends. A
// process that is killed loses a few clicks.
func (l *Links) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := l.Flush(ctx); err != nil && ctx.Err() == nil {
				slog.Warn("clicks stay in memory", "error", err)
			}
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := l.Flush(ctx); err != nil {
				slog.Warn("clicks are lost", "error", err)
			}
			return nil
		}
	}
}

// Flush writes what was counted since the last time.
func (l *Links) Flush(ctx context.Context) error {
	l.mu.Lock()
	taken := l.clicks
	l.clicks = map[click]int64{}
	l.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	var codes, days []string
	var counts []int64
	for c, n := range taken {
		codes, days, counts = append(codes, c.code), append(days, c.day), append(counts, n)
	}
	_, err := l.pool.Exec(ctx, `
INSERT INTO link_click (code, day, clicks)
SELECT * FROM unnest($1::text[], $2::text[]::date[], $3::bigint[]) ORDER BY 1, 2
ON CONFLICT (code, day) DO UPDATE SET clicks = link_click.clicks + EXCLUDED.clicks`, codes, days, counts)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, n := range taken {
		l.clicks[c] += n
	}
	return fmt.Errorf("write clicks: %w", err)
}
