package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"congdanso/bot"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/content"
)

const settingsUsage = "congdanso settings get [NAME], or congdanso settings set NAME VALUE"

// cmdSettings shows and changes what can be changed while the server runs.
func cmdSettings(ctx context.Context, p *program, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "get":
		return p.settingsGet(ctx, "")
	case len(args) == 2 && args[0] == "get":
		return p.settingsGet(ctx, args[1])
	case len(args) == 3 && args[0] == "set":
		return p.settingsSet(ctx, args[1], args[2])
	}
	return fmt.Errorf("%w: %s", errUsage, settingsUsage)
}

// settingsGet prints one setting, or all where name is empty.
func (p *program) settingsGet(ctx context.Context, name string) error {
	cfg, pool, _, err := p.unlock(ctx, "settings")
	if err != nil {
		return err
	}
	defer pool.Close()
	texts, err := content.Load(content.Files(cfg.ContentDir), cfg.tz)
	if err != nil {
		return err
	}
	values, err := setting.NewStore(pool).Load(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, d := range setting.All() {
		if name != "" && d.Name != name {
			continue
		}
		found = true
		fmt.Fprintln(p.stdout, settingLine(d, values))
		if about := setting.AboutKey(d.Name); texts.Text(p.language(), about, nil) != about {
			fmt.Fprintf(p.stdout, "    %s\n", texts.Text(p.language(), about, nil))
		}
	}
	if !found {
		return noSetting(name)
	}
	return nil
}

// settingLine tells a setting's value, marks a default, and says what else it may be.
func settingLine(d setting.Definition, values setting.Values) string {
	value, set := values.Given(d.Name)
	if d.Kind == setting.KindText {
		value = strconv.Quote(value)
	}
	var notes []string
	if !set {
		notes = append(notes, "default")
	}
	switch d.Kind {
	case setting.KindInt:
		notes = append(notes, fmt.Sprintf("%d to %d", d.Min, d.Max))
	case setting.KindBool:
		notes = append(notes, "on or off")
	}
	line := d.Name + " = " + value
	if len(notes) > 0 {
		line += "  (" + strings.Join(notes, "; ") + ")"
	}
	return line
}

func noSetting(name string) error {
	return fmt.Errorf("%s: %w; `congdanso settings get` lists them", name, setting.ErrUnknown)
}

// settingsSet changes a setting in the name of whoever sits at the machine.
func (p *program) settingsSet(ctx context.Context, name, value string) error {
	_, pool, keys, err := p.unlock(ctx, "settings")
	if err != nil {
		return err
	}
	defer pool.Close()
	accounts := staff.NewStore(pool, keys, time.Now)
	by := operator()
	var was, is string
	err = setting.NewStore(pool).Set(ctx, by.ID, name, value, func(ctx context.Context, tx pgx.Tx, old, new string) error {
		was, is = old, new
		return accounts.Audit(ctx, tx, staff.Entry{Actor: by, Action: "setting.set", Object: "setting:" + name,
			Detail: map[string]any{"old": old, "new": new}})
	})
	if errors.Is(err, setting.ErrUnknown) {
		return noSetting(name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s was %q and is %q. Every instance knows within %d seconds.\n", name, was, is, int(setting.RefreshEvery.Seconds()))
	return nil
}

// operator is whoever runs this program, by their name on the machine; by number
// where the machine does not know the name, as in a container.
func operator() staff.Actor {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return staff.Operator(u.Username)
	}
	return staff.Operator(strconv.Itoa(os.Getuid()))
}

// language is the one the operator's terminal speaks.
func (p *program) language() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := p.vars[name]; v != "" {
			if strings.HasPrefix(v, "vi") {
				return bot.Vietnamese
			}
			break
		}
	}
	return bot.English
}
