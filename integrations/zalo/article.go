package zalo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"congdanso/bot/delivery"

	"golang.org/x/text/unicode/norm"
)

// Zalo's limits on an article, counted in UTF-16 units.
const (
	maxArticleTitle       = 150
	maxArticleAuthor      = 50
	maxArticleDescription = 300
)

// Article is a page of the account, the only thing a broadcast can carry.
type Article struct {
	Title       string // at most 150 characters
	Author      string // at most 50
	Description string // at most 300
	CoverURL    string // a public picture
	Body        []Block
	Show        bool // else it is kept hidden, which is Zalo's default
}

// BlockType is the kind of a block.
type BlockType string

// The kinds of blocks this channel writes.
const (
	BlockText  BlockType = "text"
	BlockImage BlockType = "image"
)

// Block is one part of an article's body.
type Block struct {
	Type    BlockType
	Content string // HTML of a text
	URL     string // of a picture
	Caption string // of a picture
}

// CreateArticle hands an article over and returns the token under which Zalo
// prepares it; see VerifyArticle. An error is a *delivery.Refusal.
func (c *Client) CreateArticle(ctx context.Context, a Article) (token string, err error) {
	return c.writeArticle(ctx, pathArticleCreate, "", a)
}

// UpdateArticle replaces an article and returns a token like CreateArticle's. An
// error is a *delivery.Refusal.
func (c *Client) UpdateArticle(ctx context.Context, id string, a Article) (token string, err error) {
	return c.writeArticle(ctx, pathArticleUpdate, id, a)
}

func (c *Client) writeArticle(ctx context.Context, path, id string, a Article) (token string, err error) {
	body, err := articleBody(id, a)
	if err != nil {
		return "", &delivery.Refusal{Class: delivery.ClassDrop, Err: err}
	}
	var env envelope[struct {
		Token text `json:"token"`
	}]
	if ref := c.call(ctx, request{path: path, body: body, changes: true}, &env); ref != nil {
		return "", ref
	}
	return string(env.Data.Token), nil
}

// articleBody is the JSON of an article. Comments are hidden: nobody of the
// account would answer them.
func articleBody(id string, a Article) ([]byte, error) {
	type cover struct {
		Type   string `json:"cover_type"`
		URL    string `json:"photo_url"`
		Status string `json:"status"`
	}
	type block struct {
		Type    BlockType `json:"type"`
		Content string    `json:"content,omitempty"`
		URL     string    `json:"url,omitempty"`
		Caption string    `json:"caption,omitempty"`
	}
	body := struct {
		ID          string  `json:"id,omitempty"`
		Type        string  `json:"type"`
		Title       string  `json:"title"`
		Author      string  `json:"author"`
		Description string  `json:"description"`
		Cover       cover   `json:"cover"`
		Body        []block `json:"body"`
		Status      string  `json:"status"`
		Comment     string  `json:"comment"`
	}{
		ID: id, Type: "normal", Title: norm.NFC.String(a.Title), Author: norm.NFC.String(a.Author),
		Description: norm.NFC.String(a.Description), Cover: cover{"photo", a.CoverURL, statusShow},
		Status: statusHide, Comment: statusHide,
	}
	for _, f := range []struct {
		name, text string
		most       int
	}{
		{"title", body.Title, maxArticleTitle},
		{"author", body.Author, maxArticleAuthor},
		{"description", body.Description, maxArticleDescription},
	} {
		if n := units(f.text); n > f.most {
			return nil, fmt.Errorf("article's %s of %d characters, at most %d", f.name, n, f.most)
		}
	}
	if a.Show {
		body.Status = statusShow
	}
	for _, b := range a.Body {
		body.Body = append(body.Body, block{b.Type, norm.NFC.String(b.Content), b.URL, norm.NFC.String(b.Caption)})
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode article: %w", err)
	}
	return raw, nil
}

// What Zalo calls a published and an unpublished article.
const (
	statusShow = "show"
	statusHide = "hide"
)

// VerifyArticle asks what became of an article handed over and returns its id.
// While Zalo still works on it the refusal is of ClassWait. It changes nothing
// and can be asked again. An error is a *delivery.Refusal.
func (c *Client) VerifyArticle(ctx context.Context, token string) (id string, err error) {
	body := append(appendQuoted([]byte(`{"token":`), token), '}')
	var env envelope[struct {
		ID text `json:"id"`
	}]
	if ref := c.call(ctx, request{path: pathArticleVerify, body: body}, &env); ref != nil {
		return "", ref
	}
	return string(env.Data.ID), nil
}

// RemoveArticle deletes an article. An error is a *delivery.Refusal.
func (c *Client) RemoveArticle(ctx context.Context, id string) error {
	return c.change(ctx, pathArticleRemove, append(appendQuoted([]byte(`{"id":`), id), '}'))
}

// ArticleDetail is an article as it stands at Zalo.
type ArticleDetail struct {
	ID     string
	Title  string
	Status string // show, or hide: then nobody sees it, and no broadcast carries it
}

// ArticleDetail reads an article. An error is a *delivery.Refusal.
func (c *Client) ArticleDetail(ctx context.Context, id string) (ArticleDetail, error) {
	var env envelope[struct {
		ID     text `json:"id"`
		Title  text `json:"title"`
		Status text `json:"status"`
	}]
	if ref := c.call(ctx, request{path: pathArticleDetail, flat: "id=" + url.QueryEscape(id)}, &env); ref != nil {
		return ArticleDetail{}, ref
	}
	d := &env.Data
	if d.ID == "" {
		d.ID = text(id)
	}
	return ArticleDetail{ID: string(d.ID), Title: string(d.Title), Status: string(d.Status)}, nil
}
