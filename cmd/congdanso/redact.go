package main

import (
	"context"
	"log/slog"
	"regexp"
)

// redact is the last line of defence of the logs: whatever a message or an error
// drags along, numbers that could be a phone or a citizen number do not pass.
type redact struct{ slog.Handler }

// personal matches runs of nine or more digits with nothing of a word around
// them: phones (84…, 0…), citizen numbers, ids of people. Times and counts are
// shorter or carry their unit.
var personal = regexp.MustCompile(`\+?\b\d{9,}\b`)

func (r redact) Handle(ctx context.Context, rec slog.Record) error {
	clean := slog.NewRecord(rec.Time.UTC(), rec.Level, mask(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return r.Handler.Handle(ctx, clean)
}

func (r redact) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return redact{r.Handler.WithAttrs(clean)}
}

func (r redact) WithGroup(name string) slog.Handler { return redact{r.Handler.WithGroup(name)} }

func redactAttr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, mask(v.String()))
	case slog.KindGroup:
		group := v.Group()
		clean := make([]any, len(group))
		for i, g := range group {
			clean[i] = redactAttr(g)
		}
		return slog.Group(a.Key, clean...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return slog.String(a.Key, mask(err.Error()))
		}
	}
	return a
}

func mask(s string) string { return personal.ReplaceAllString(s, "•••") }
