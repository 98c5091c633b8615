package broadcast

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"congdanso/bot/delivery"
)

// press is Zalo's side of articles, as far as these tests need it.
type press struct {
	calls   []string
	pages   map[string]Page // by id
	tokens  map[string]string
	working int   // how often VerifyArticle answers "wait"
	fail    error // what the next call of failAt answers
	failAt  string
	targets []Target // of the broadcasts taken
}

func newPress() *press { return &press{pages: map[string]Page{}, tokens: map[string]string{}} }

func (p *press) call(name string) error {
	p.calls = append(p.calls, name)
	if p.failAt == name && p.fail != nil {
		return p.fail
	}
	return nil
}

func (p *press) CreateArticle(_ context.Context, page Page) (string, error) {
	if err := p.call("create"); err != nil {
		return "", err
	}
	id := fmt.Sprint("article", len(p.pages))
	p.pages[id], p.tokens["t"+id] = page, id
	return "t" + id, nil
}

func (p *press) UpdateArticle(_ context.Context, id string, page Page) (string, error) {
	name := "update"
	if page.Show {
		name = "show"
	}
	if err := p.call(name); err != nil {
		return "", err
	}
	p.pages[id], p.tokens["t"+id] = page, id
	return "t" + id, nil
}

func (p *press) VerifyArticle(_ context.Context, token string) (string, error) {
	if err := p.call("verify"); err != nil {
		return "", err
	}
	if p.working > 0 {
		p.working--
		return "", &delivery.Refusal{Class: delivery.ClassWait, Code: -214}
	}
	return p.tokens[token], nil
}

func (p *press) ArticleShown(_ context.Context, id string) (bool, error) {
	return p.pages[id].Show, p.call("shown")
}

func (p *press) BroadcastArticle(_ context.Context, id string, target Target) (string, error) {
	if err := p.call("broadcast"); err != nil {
		return "", err
	}
	p.targets = append(p.targets, target)
	return "message of " + id, nil
}

// newsroom is a desk with articles and a press.
type newsroom struct {
	*desk
	*press
	articles *Articles
	runs     int64
}

func newNewsroom(t *testing.T) *newsroom {
	n := &newsroom{desk: newDesk(t), press: newPress()}
	n.articles = &Articles{Store: n.Store, Zalo: n.press, Slot: func(context.Context) error { return nil }}
	return n
}

func articleDefinition() Definition {
	d := bulletin()
	d.Kind, d.Template, d.Body.ImageURL, d.Body.Buttons, d.Body.Missing = Article, "", "https://a.vn/a.jpg", nil, nil
	d.Body.Vi.Lines, d.Body.En = []string{"Mời mọi người đi tiêm."}, Text{}
	return d
}

// run makes a run at a time, in a state.
func (n *newsroom) run(state RunState, at time.Time, change func(*Definition)) int64 {
	n.t.Helper()
	n.runs++
	d, broadcastState := articleDefinition(), Scheduled
	if change != nil {
		change(&d)
	}
	if state == RunRunning {
		broadcastState = Running
	}
	n.exec(`INSERT INTO broadcast (id, oa_id, authors, state, definition, created_at, changed_at)
OVERRIDING SYSTEM VALUE VALUES ($1, $2, '{an}', $3, $4, $5, $5)`, n.runs, testOA, broadcastState, d, noon)
	n.exec(`INSERT INTO broadcast_run (id, broadcast, oa_id, kind, class, at, latest_at, state, cleared, definition, started_at)
VALUES ($1, $1, $2, 'article', 4, $3, $4, $5, $5 = 'running', CASE WHEN $5 = 'running' THEN $6::jsonb END, CASE WHEN $5 = 'running' THEN $3::timestamptz END)`,
		n.runs, testOA, at, at.Add(6*time.Hour), state, d)
	return n.runs
}

func (n *newsroom) begin(run int64) {
	n.exec(`UPDATE broadcast_run r SET state = 'running', cleared = true, started_at = at, definition = (SELECT definition FROM broadcast b WHERE b.id = r.broadcast) WHERE id = $1`, run)
	n.exec(`UPDATE broadcast SET state = 'running' WHERE id = $1`, run)
}

// ticks lets the articles take their steps for a while, and returns the calls.
func (n *newsroom) ticks(from time.Time, of time.Duration) string {
	n.t.Helper()
	n.calls = nil
	for at := from; !at.After(from.Add(of)); at = at.Add(5 * time.Second) {
		if err := n.articles.Tick(context.Background(), at); err != nil {
			n.t.Fatal(err)
		}
	}
	return strings.Join(n.calls, " ")
}

// stands says how an article, its run and its broadcast stand.
func (n *newsroom) stands(run int64, want string) {
	n.t.Helper()
	var article, cause, ofRun, ofBroadcast string
	err := n.Pool.QueryRow(context.Background(), `
SELECT a.state, coalesce(a.cause, '-'), r.state, b.state FROM article_run a JOIN broadcast_run r ON r.id = a.run JOIN broadcast b ON b.id = r.broadcast
WHERE a.run = $1`, run).Scan(&article, &cause, &ofRun, &ofBroadcast)
	if err != nil {
		n.t.Fatal(err)
	}
	if got := strings.Join([]string{article, cause, ofRun, ofBroadcast}, " "); got != want {
		n.t.Errorf("run %d stands at %q, want %q", run, got, want)
	}
	if cause != "-" {
		if key := "broadcast.cause." + cause; n.texts.Text("vi", key, nil) == key {
			n.t.Errorf("%s has no words", key)
		}
	}
}
