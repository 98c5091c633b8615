package push

import (
	"context"

	"congdanso/bot/setting"
)

// Tariff says which ways there are and what a message of each costs. The feeder goes
// by it, and so does whoever reckons beforehand: a plan that knew other prices than
// the books would be no plan.
type Tariff struct {
	settings  Settings
	templates map[string]Template // as Zalo describes them, by its id
}

// Tariff reads what holds for an account now.
func (s *Store) Tariff(ctx context.Context, oa string, v setting.Values) (Tariff, error) {
	templates, err := s.templates(ctx, oa)
	return Tariff{NewSettings(v), templates}, err
}

// Template is the one registered for a use; ok is false where there is none, or Zalo
// does not let it be sent, or has not described it yet.
func (t Tariff) Template(use string) (described Template, ok bool) {
	id := t.settings.TemplateID(use)
	described, known := t.templates[id]
	return described, id != "" && known && described.Status == enabled
}

// Cost of a message of a rung, in đồng. A template costs what Zalo says of the one
// registered for the use, and what the settings say where Zalo says nothing.
func (t Tariff) Cost(r Rung, use string) int {
	described, _ := t.Template(use)
	switch {
	case r == RungTemplate && described.PriceUser > 0:
		return described.PriceUser
	case r == RungPhone && described.PricePhone > 0:
		return described.PricePhone
	}
	return t.settings.cost(r)
}
