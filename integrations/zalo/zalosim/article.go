package zalosim

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// article is a page of the account: what was handed over, oldest first. The newest
// version that Zalo has finished is the one people see.
type article struct {
	ID       string
	Versions []*version
}

// version is an article as it was handed over once.
type version struct {
	Content articleContent
	Token   string
	Ready   time.Time
	Stalled bool // will never be ready
	article *article
}

// articleContent is what create and update take, and getdetail gives back.
type articleContent struct {
	ID          string         `json:"id,omitempty"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Author      string         `json:"author"`
	Description string         `json:"description"`
	Cover       articleCover   `json:"cover"`
	Body        []articleBlock `json:"body"`
	Status      string         `json:"status"`
	Comment     string         `json:"comment"`
}

type articleCover struct {
	Type   string `json:"cover_type"`
	URL    string `json:"photo_url"`
	Status string `json:"status"`
}

type articleBlock struct {
	Type    string `json:"type"`
	Content string `json:"content,omitempty"`
	URL     string `json:"url,omitempty"`
	Caption string `json:"caption,omitempty"`
}

// StallArticles makes what is handed over while it is on never become ready.
func (s *Sim) StallArticles(stall bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalling = stall
}

func (v *version) ready(now time.Time) bool { return !v.Stalled && !now.Before(v.Ready) }

// current is what people see, or nil. It may be called on no article.
func (a *article) current(now time.Time) *articleContent {
	if a == nil {
		return nil
	}
	for i := len(a.Versions) - 1; i >= 0; i-- {
		if a.Versions[i].ready(now) {
			return &a.Versions[i].Content
		}
	}
	return nil
}

// read checks what was handed over.
func (in *articleContent) read(s *Sim, body []byte) *answer {
	if json.Unmarshal(body, in) != nil {
		return invalid("body")
	}
	in.Status, in.Comment = cmp.Or(in.Status, "hide"), cmp.Or(in.Comment, "show")
	switch {
	case in.Type != "normal":
		return invalid("type")
	case strings.TrimSpace(in.Title) == "":
		return invalid("title")
	case units(in.Title) > maxArticleTitle, units(in.Author) > maxArticleAuthor, units(in.Description) > maxArticleDescription:
		return refusal(codeTooMuch)
	case in.Cover.Type != "photo":
		return invalid("cover_type")
	case !s.publicURL(in.Cover.URL):
		return invalid("photo_url")
	case !isStatus(in.Cover.Status):
		return invalid("cover.status")
	case !isStatus(in.Status):
		return invalid("status")
	case !isStatus(in.Comment):
		return invalid("comment")
	case len(in.Body) == 0:
		return invalid("body")
	}
	for _, b := range in.Body {
		switch {
		case b.Type == "text" && b.Content != "":
		case b.Type == "image" && s.publicURL(b.URL):
		default:
			return invalid("body")
		}
	}
	return nil
}

func isStatus(word string) bool { return word == "show" || word == "hide" }

func (s *Sim) createArticle(c *call) answer {
	var in articleContent
	if bad := in.read(s, c.body); bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.created.left(monthOf(c.now), s.opt.ArticlesAMonth) < 1 {
		return *refusal(codeArticles)
	}
	s.created.N++
	in.ID = s.newID()
	a := &article{ID: in.ID}
	s.articles[a.ID] = a
	return s.handOver(a, in, c.now)
}

func (s *Sim) updateArticle(c *call) answer {
	var in articleContent
	if bad := in.read(s, c.body); bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.articles[in.ID]
	if a.current(c.now) == nil {
		return *invalid("id")
	}
	return s.handOver(a, in, c.now)
}

// handOver begins the work on a version. The caller holds mu.
func (s *Sim) handOver(a *article, in articleContent, now time.Time) answer {
	v := &version{Content: in, Token: secret("ART-"), Ready: now.Add(s.opt.ArticleDelay), Stalled: s.stalling, article: a}
	a.Versions = append(a.Versions, v)
	s.tokens[v.Token] = v
	return ok(newObject(80, false).str("token", v.Token).bytes())
}

func (s *Sim) verifyArticle(c *call) answer {
	var q struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(c.body, &q) != nil {
		return *invalid("token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.tokens[q.Token]
	switch {
	case v == nil || s.articles[v.article.ID] == nil:
		return *invalid("token")
	case !v.ready(c.now):
		return *refusal(codePreparing)
	}
	return ok(newObject(80, false).str("id", v.article.ID).bytes())
}

func (s *Sim) removeArticle(c *call) answer {
	var q struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(c.body, &q) != nil {
		return *invalid("id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.articles[q.ID].current(c.now) == nil {
		return *invalid("id")
	}
	delete(s.articles, q.ID)
	return ok(nil)
}

func (s *Sim) articleDetail(c *call) answer {
	s.mu.Lock()
	now := s.articles[c.query.Get("id")].current(c.now)
	s.mu.Unlock()
	if now == nil {
		return *invalid("id")
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return *invalid("id")
	}
	return ok(raw)
}
