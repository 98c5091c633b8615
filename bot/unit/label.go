package unit

import "congdanso/bot"

// Label is how u is called in a language: its kind and name, and for one that
// has ended and shares them with another, that it is the former one and where
// it lay.
func (us *Units) Label(texts bot.Texts, lang string, u Unit) string {
	called := func(u Unit) string {
		return texts.Text(lang, "unit.kind."+kinds[u.Kind].key, bot.Pairs("Name", u.Name))
	}
	name := called(u)
	i, ok := us.byRef[u.Ref()]
	if !ok || u.To.IsZero() || !us.homonyms[i] {
		return name
	}
	for _, p := range us.byCode[u.Parent] {
		if parent := us.all[p]; parent.overlaps(u) && parent.level() == districtLevel {
			return texts.Text(lang, "unit.former.within", bot.Pairs("Unit", name, "Parent", called(parent)))
		}
	}
	return texts.Text(lang, "unit.former.alone", bot.Pairs("Unit", name))
}
