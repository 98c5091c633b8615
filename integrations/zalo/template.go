package zalo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"congdanso/bot"
	"congdanso/bot/delivery"

	"golang.org/x/text/unicode/norm"
)

// maxTracking is the longest tracking id Zalo takes.
const maxTracking = 48

// Template sends t: by phone when it names one, else by the person's id. An error
// is a *delivery.Refusal.
func (c *Client) Template(ctx context.Context, to bot.CitizenID, t bot.Template) (delivery.Receipt, error) {
	if ref := c.ours(to); ref != nil {
		return delivery.Receipt{}, ref
	}
	r := request{path: pathTemplate, host: hostTemplate, changes: true}
	if t.Phone != "" {
		r.path, r.host = pathPhone, hostPhone
	}
	var err error
	if r.body, err = appendTemplate(make([]byte, 0, 512), to.User, t); err != nil {
		return delivery.Receipt{}, &delivery.Refusal{Class: delivery.ClassDrop, Err: err}
	}
	var env envelope[sent]
	if ref := c.call(ctx, r, &env); ref != nil {
		return delivery.Receipt{}, ref
	}
	return env.Data.receipt(), nil
}

// appendTemplate appends the JSON of t for one person. The phone stands in no
// error.
func appendTemplate(b []byte, user string, t bot.Template) ([]byte, error) {
	switch {
	case t.ID == "":
		return nil, errors.New("no template to send")
	case t.Phone == "":
		b = appendQuoted(append(b, `{"user_id":`...), user)
	case !isPhone(t.Phone):
		return nil, errors.New("the phone is not written as 84…")
	case t.TrackingID == "" || units(t.TrackingID) > maxTracking:
		return nil, fmt.Errorf("tracking id of %d characters, 1 to %d", units(t.TrackingID), maxTracking)
	default:
		b = appendQuoted(append(b, `{"phone":`...), t.Phone)
		b = appendQuoted(append(b, `,"tracking_id":`...), t.TrackingID)
		b = append(b, `,"sending_mode":"1"`...) // never above the quota
	}
	b = appendQuoted(append(b, `,"template_id":`...), t.ID)
	b = append(b, `,"template_data":{`...)
	for i, name := range slices.Sorted(maps.Keys(t.Data)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, name)
		b = appendQuoted(append(b, ':'), norm.NFC.String(t.Data[name]))
	}
	return append(b, `}}`...), nil
}

// isPhone reports whether a number is written as 84…, the only way that is sent.
func isPhone(n string) bool {
	return len(n) >= 10 && len(n) <= 13 && strings.HasPrefix(n, "84") && strings.Trim(n, "0123456789") == ""
}

// TemplateInfo is Zalo's own description of a template.
type TemplateInfo struct {
	ID         string
	Status     string // ENABLE, PENDING_REVIEW, REJECT, DISABLE
	Tag        string // TRANSACTION, CUSTOMER_CARE, PROMOTION
	Quality    string // HIGH, MEDIUM, LOW, UNDEFINED
	PriceUser  int    // đồng for one sent by user id; 0 when Zalo does not say
	PricePhone int    // đồng for one sent by phone
	Params     []TemplateParam
}

// TemplateParam is one value a template takes.
type TemplateParam struct {
	Name      string
	Required  bool
	Type      string // STRING, NUMBER, DATE, CURRENCY, …
	MinLength int
	MaxLength int // 0: Zalo does not say
}

// TemplateInfo reads the description of a template. An error is a
// *delivery.Refusal.
func (c *Client) TemplateInfo(ctx context.Context, id string) (TemplateInfo, error) {
	var env envelope[struct {
		ID         text  `json:"templateId"`
		Status     text  `json:"status"`
		Tag        text  `json:"templateTag"`
		Quality    text  `json:"templateQuality"`
		PriceUser  price `json:"price_uid"`
		PricePhone price `json:"price_sdt"`
		Price      price `json:"price"` // of one sent by phone, from before there were two
		Params     []struct {
			Name     text  `json:"name"`
			Required bool  `json:"require"`
			Type     text  `json:"type"`
			Min      price `json:"minLength"`
			Max      price `json:"maxLength"`
		} `json:"listParams"`
	}]
	if ref := c.call(ctx, request{path: pathTemplateInfo, host: hostPhone, flat: "template_id=" + url.QueryEscape(id)}, &env); ref != nil {
		return TemplateInfo{}, ref
	}
	d := &env.Data
	info := TemplateInfo{ID: string(d.ID), Status: string(d.Status), Tag: string(d.Tag), Quality: string(d.Quality),
		PriceUser: int(d.PriceUser), PricePhone: int(d.PricePhone)}
	if info.PricePhone == 0 {
		info.PricePhone = int(d.Price)
	}
	if info.ID == "" {
		info.ID = id
	}
	for _, p := range d.Params {
		info.Params = append(info.Params, TemplateParam{Name: string(p.Name), Required: p.Required, Type: string(p.Type),
			MinLength: int(p.Min), MaxLength: int(p.Max)})
	}
	return info, nil
}

// price is an amount as Zalo writes it: "300", 300, 300.0, or nothing. Parts of a
// đồng count as a whole one, for a plan must not be cheaper than the bill.
type price int

// UnmarshalJSON leaves what is no amount at zero.
func (p *price) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		v = 0
	}
	*p = price(math.Ceil(v))
	return nil
}
