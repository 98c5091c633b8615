package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf16"

	"github.com/jackc/pgx/v5"

	"congdanso/bot/delivery"
	"congdanso/bot/setting"
)

// Template is Zalo's own description of an approved template.
type Template struct {
	ID         string
	Status     string // Zalo's word; see enabled
	PriceUser  int    // đồng, by user id
	PricePhone int    // đồng, by phone
	Params     []Param
}

// Param is one value a template takes.
type Param struct {
	Name     string `json:"name"`
	Required bool   `json:"required"`
	Min      int    `json:"min,omitempty"` // characters
	Max      int    `json:"max,omitempty"` // characters; 0: not told
}

// enabled is the status of a template that may be sent (ZBS: template/info).
const enabled = "ENABLE"

// Templates reads Zalo's descriptions.
type Templates interface {
	TemplateInfo(ctx context.Context, id string) (Template, error)
}

// CheckTemplates asks Zalo about the registered templates and keeps what it says:
// their parameters, prices, and whether they may be sent at all. It returns what is
// wrong with any of them, for people.
func (s *Store) CheckTemplates(ctx context.Context, oa string, v setting.Values, zalo Templates, now time.Time) (faults []error, err error) {
	settings := NewSettings(v)
	for use := range templateID {
		id := settings.TemplateID(use)
		if id == "" {
			continue
		}
		t, err := zalo.TemplateInfo(ctx, id)
		var refused *delivery.Refusal
		if errors.As(err, &refused) && refused.Code != 0 {
			faults = append(faults, fmt.Errorf("template %s (%s): %w", use, id, err))
			t = Template{ID: id, Status: fmt.Sprint(refused.Code)}
		} else if err != nil {
			return faults, fmt.Errorf("ask about template %s: %w", use, err)
		}
		if t.Status != enabled && refused == nil {
			faults = append(faults, fmt.Errorf("template %s (%s) is %s at Zalo", use, id, t.Status))
		}
		for _, p := range t.Params {
			if p.Required && !ours(use, p.Name) {
				faults = append(faults, fmt.Errorf("template %s (%s) wants a value %q that the channel does not have", use, id, p.Name))
			}
		}
		params, err := json.Marshal(t.Params)
		if err != nil {
			return faults, fmt.Errorf("encode template %s: %w", use, err)
		}
		_, err = s.pool.Exec(ctx, `
INSERT INTO push_template (oa_id, template_id, params, price_user, price_phone, status, checked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (oa_id, template_id) DO UPDATE SET params = EXCLUDED.params, price_user = EXCLUDED.price_user,
    price_phone = EXCLUDED.price_phone, status = EXCLUDED.status, checked_at = EXCLUDED.checked_at`,
			oa, id, params, t.PriceUser, t.PricePhone, t.Status, now)
		if err != nil {
			return faults, fmt.Errorf("keep template %s: %w", use, err)
		}
	}
	return faults, nil
}

// values are what the channel can fill in, by use of the template.
var values = map[string][]string{
	"dossier":  {"code", "status", "agency", "due"},
	"bulletin": {"title", "agency", "link"},
}

func ours(use, name string) bool {
	for _, v := range values[use] {
		if v == name {
			return true
		}
	}
	return false
}

// templates are the descriptions of an account's templates, by Zalo's id.
func (s *Store) templates(ctx context.Context, oa string) (map[string]Template, error) {
	rows, err := s.pool.Query(ctx, `
SELECT template_id, params, price_user, price_phone, status FROM push_template WHERE oa_id = $1`, oa)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	all := map[string]Template{}
	var t Template
	var params []byte
	_, err = pgx.ForEachRow(rows, []any{&t.ID, &params, &t.PriceUser, &t.PricePhone, &t.Status}, func() error {
		t.Params = nil
		if err := json.Unmarshal(params, &t.Params); err != nil {
			slog.Error("a template's description does not decode", "template", t.ID)
			return nil
		}
		all[t.ID] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	return all, nil
}

// fill makes the values of a template out of params: those it wants, cut to what it
// takes. ok is false where a value it needs is missing or too short.
func (t Template) fill(params map[string]string) (data map[string]string, ok bool) {
	data = make(map[string]string, len(t.Params))
	for _, p := range t.Params {
		v := cut(params[p.Name], p.Max)
		if v == "" && !p.Required {
			continue
		}
		if v == "" || units(v) < p.Min {
			return nil, false
		}
		data[p.Name] = v
	}
	return data, true
}

// cut shortens s to most UTF-16 units, the last one a sign that something is missing.
func cut(s string, most int) string {
	if most <= 0 || units(s) <= most {
		return s
	}
	n, end := 0, 0
	for i, r := range s {
		if n += max(1, utf16.RuneLen(r)); n > most-1 {
			break
		}
		end = i + len(string(r))
	}
	return s[:end] + "…"
}

func units(s string) (n int) {
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}
