package main

import (
	"errors"
	"maps"
	"os/user"
	"slices"
	"strings"
	"testing"

	"congdanso/bot/setting"
	"congdanso/integrations/postgres/pgtest"
)

// ceiling is a setting to tell stories with.
const ceiling = "push.ceiling"

func init() {
	if !slices.ContainsFunc(setting.All(), func(d setting.Definition) bool { return d.Name == ceiling }) {
		setting.Int(ceiling, 3, 1, 20)
	}
}

// TestStoryOfAnOperatorWhoLowersTheCeiling: what can be changed is listed with what
// it is for, a change is kept and written down, and whoever alters what was written
// down is found out.
func TestStoryOfAnOperatorWhoLowersTheCeiling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pgtest.URL(t))
	if out, err := w.invoke("audit", "verify"); err != nil || !strings.Contains(out, "empty") {
		t.Errorf("audit of nothing: %v\n%s", err, out)
	}
	out, err := w.invoke("settings", "get")
	if err != nil || !strings.Contains(out, "  (default; ") {
		t.Fatalf("settings get: %v\n%s", err, out)
	}
	for _, d := range setting.All() {
		if !strings.Contains(out, d.Name+" = ") {
			t.Errorf("settings get does not tell of %s:\n%s", d.Name, out)
		}
	}
	if about := "The most messages a day that we begin with one person."; !strings.Contains(out, about) {
		t.Errorf("settings get does not explain %s:\n%s", ceiling, out)
	}
	if out, err := w.invoke("settings", "set", ceiling, " 2 "); err != nil || !strings.Contains(out, `and is "2"`) {
		t.Errorf("settings set: %v\n%s", err, out)
	}
	out, err = w.invoke("settings", "get", ceiling)
	if err != nil || !strings.HasPrefix(out, ceiling+" = 2  (") || strings.Contains(out, "default") || strings.Count(out, " = ") != 1 {
		t.Errorf("settings get %s: %v\n%s", ceiling, err, out)
	}
	vietnamese := maps.Clone(w.vars)
	vietnamese["LANG"] = "vi_VN.UTF-8"
	if out, err := invoke(vietnamese, nil, "settings", "get", ceiling); err != nil || !strings.Contains(out, "Mỗi người nhận nhiều nhất") {
		t.Errorf("settings get in Vietnamese: %v\n%s", err, out)
	}

	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count(`
SELECT count(*) FROM audit WHERE actor = $1 AND action = 'setting.set' AND object = $2 AND detail->>'new' = '2'`,
		"operator:"+me.Username, "setting:"+ceiling); n != 1 {
		t.Errorf("%d entries in the audit, want 1", n)
	}
	for _, c := range []struct{ name, value, want string }{
		{ceiling, "0", "must be a whole number from"},
		{ceiling, "many", "must be a whole number from"},
		{"push.ceilling", "3", "settings get"},
	} {
		if _, err := w.invoke("settings", "set", c.name, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("settings set %s %s: %v; want %q", c.name, c.value, err, c.want)
		}
	}
	if _, err := w.invoke("settings", "get", "push.ceilling"); !errors.Is(err, setting.ErrUnknown) {
		t.Errorf("settings get of a name that is none: %v", err)
	}
	if n := w.count(`SELECT count(*) FROM audit`); n != 1 {
		t.Errorf("%d entries in the audit; want none of what was refused", n)
	}

	if out, err := w.invoke("settings", "set", ceiling, "4"); err != nil || !strings.Contains(out, `was "2" and is "4"`) {
		t.Errorf("settings set again: %v\n%s", err, out)
	}
	if out, err := w.invoke("audit", "verify"); err != nil || !strings.Contains(out, "All 2 entries fit. The newest is number 2 of ") {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
	w.exec(`UPDATE audit SET actor = 'operator:somebody-else' WHERE seq = 2`)
	if _, err := w.invoke("audit", "verify"); err == nil || !strings.Contains(err.Error(), "1 entries fit, then no more: the audit breaks at entry 2") {
		t.Errorf("audit verify after somebody altered it: %v", err)
	}
}

func TestStoryOfSettingsAskedForWrongly(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"settings"}, {"settings", "list"}, {"settings", "get", "a", "b"}, {"settings", "set"}, {"settings", "set", ceiling},
		{"audit"}, {"audit", "mend"}, {"audit", "verify", "all"},
	} {
		if _, err := invoke(nil, nil, args...); !errors.Is(err, errUsage) {
			t.Errorf("congdanso %v: %v; want an error of usage", args, err)
		}
	}
	for _, args := range [][]string{{"settings", "get"}, {"settings", "set", ceiling, "3"}, {"audit", "verify"}} {
		if _, err := invoke(nil, nil, args...); err == nil || !strings.Contains(err.Error(), "DATABASE_URL is not set") {
			t.Errorf("congdanso %v without an environment: %v", args, err)
		}
	}
}
