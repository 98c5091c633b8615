package zalo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"congdanso/bot/delivery"
)

// maxArticles is the most a broadcast carries.
const maxArticles = 5

// Target narrows a broadcast, by Zalo's own numbers. An empty list leaves that
// side open; there is no other way to narrow one.
type Target struct {
	Ages   []string // 0 (to 12) … 7 (65 and over)
	Gender []string // 1 male, 2 female
	Cities []string // Zalo's numbers from before the mergers; 2, 8, 56 are today's Ninh Bình
}

// Broadcast sends articles to all followers, as far as target and Zalo's caps
// allow. Zalo looks at it first, and nothing can call it back or tell how far it
// is. An error is a *delivery.Refusal.
func (c *Client) Broadcast(ctx context.Context, articles []string, target Target) (delivery.Receipt, error) {
	body, err := broadcastBody(articles, target)
	if err != nil {
		return delivery.Receipt{}, &delivery.Refusal{Class: delivery.ClassDrop, Err: err}
	}
	var env envelope[sent]
	if ref := c.call(ctx, request{path: pathBroadcast, body: body, changes: true}, &env); ref != nil {
		return delivery.Receipt{}, ref
	}
	return env.Data.receipt(), nil
}

func broadcastBody(articles []string, target Target) ([]byte, error) {
	if n := len(articles); n == 0 || n > maxArticles {
		return nil, fmt.Errorf("broadcast of %d articles, 1 to %d", n, maxArticles)
	}
	type element struct {
		MediaType string `json:"media_type"`
		ID        string `json:"attachment_id"`
	}
	var body struct {
		Recipient struct {
			Target struct {
				Ages   string `json:"ages,omitempty"`
				Gender string `json:"gender,omitempty"`
				Cities string `json:"cities,omitempty"`
			} `json:"target"`
		} `json:"recipient"`
		Message struct {
			Attachment struct {
				Type    string `json:"type"`
				Payload struct {
					TemplateType string    `json:"template_type"`
					Elements     []element `json:"elements"`
				} `json:"payload"`
			} `json:"attachment"`
		} `json:"message"`
	}
	t := &body.Recipient.Target
	t.Ages, t.Gender, t.Cities = strings.Join(target.Ages, ","), strings.Join(target.Gender, ","), strings.Join(target.Cities, ",")
	a := &body.Message.Attachment
	a.Type, a.Payload.TemplateType = "template", "media"
	for _, id := range articles {
		a.Payload.Elements = append(a.Payload.Elements, element{"article", id})
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode broadcast: %w", err)
	}
	return raw, nil
}
