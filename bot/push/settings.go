package push

import (
	"congdanso/bot/setting"
)

// What operators set while the server runs. Budgets count messages; 0 means none
// are allowed, costs are in đồng a message.
var (
	ceiling       = setting.Int("push.ceiling", 6, 1, 50)
	ceilingUrgent = setting.Int("push.ceiling_urgent", 3, 1, 20)
	nightFrom     = setting.Int("push.night_from", 22, 0, 23)
	nightTo       = setting.Int("push.night_to", 6, 0, 23)

	rungOn = map[Rung]setting.BoolSetting{
		RungFree:     setting.Bool("rung.free", true),
		RungPackage:  setting.Bool("rung.package", true),
		RungTemplate: setting.Bool("rung.template", true),
		RungPhone:    setting.Bool("rung.phone", false),
	}
	budgetDay = map[Rung]setting.IntSetting{
		RungPackage:  setting.Int("budget.package_day", 500, 0, 10_000_000),
		RungTemplate: setting.Int("budget.template_day", 1000, 0, 10_000_000),
		RungPhone:    setting.Int("budget.phone_day", 200, 0, 10_000_000),
	}
	budgetMonth = map[Rung]setting.IntSetting{
		RungPackage:  setting.Int("budget.package_month", 2000, 0, 100_000_000),
		RungTemplate: setting.Int("budget.template_month", 10_000, 0, 100_000_000),
		RungPhone:    setting.Int("budget.phone_month", 2000, 0, 100_000_000),
	}
	// What a message costs where Zalo's description of the template does not say.
	cost = map[Rung]setting.IntSetting{
		RungPackage:  setting.Int("cost.package", 55, 0, 100_000),
		RungTemplate: setting.Int("cost.template", 200, 0, 100_000),
		RungPhone:    setting.Int("cost.phone", 300, 0, 100_000),
	}
	templateID = map[string]setting.TextSetting{
		"dossier":  setting.Text("template.dossier", "", nil),
		"bulletin": setting.Text("template.bulletin", "", nil),
	}
)

// Settings are the values that decide how pushes go.
type Settings struct{ values setting.Values }

// NewSettings reads them out of a snapshot.
func NewSettings(v setting.Values) Settings { return Settings{v} }

// On reports whether a rung is switched on.
func (s Settings) On(r Rung) bool {
	on, ok := rungOn[r]
	return ok && on.Of(s.values)
}

// Budget is how many messages of a rung may go in a day and in a month; ok is false
// for a rung that has none.
func (s Settings) Budget(r Rung) (day, month int64, ok bool) {
	d, ok := budgetDay[r]
	if !ok {
		return 0, 0, false
	}
	return int64(d.Of(s.values)), int64(budgetMonth[r].Of(s.values)), true
}

// cost is what a message of a rung costs, in đồng, where nothing better is known.
func (s Settings) cost(r Rung) int {
	c, ok := cost[r]
	if !ok {
		return 0
	}
	return c.Of(s.values)
}

// TemplateID is Zalo's id of the template registered for a use; empty: none.
func (s Settings) TemplateID(use string) string {
	t, ok := templateID[use]
	if !ok {
		return ""
	}
	return t.Of(s.values)
}

// Ceilings are the most pushes a person gets in a day, below everything else.
func (s Settings) Ceilings() (all, urgent int) {
	return ceiling.Of(s.values), ceilingUrgent.Of(s.values)
}

// Night is when no push goes but urgent ones, in minutes of the local day.
func (s Settings) Night() (from, to int) {
	return nightFrom.Of(s.values) * 60, nightTo.Of(s.values) * 60
}
