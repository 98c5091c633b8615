package content

import (
	"testing"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
)

// Whatever needs no template engine reads as the engine would write it.
func TestPlainTextsReadAsTheEngineWritesThem(t *testing.T) {
	l, err := Load(Files(""), time.UTC, WithSample())
	if err != nil {
		t.Fatal(err)
	}
	data := map[string]any{"Count": 3}
	for _, key := range l.Keys() {
		for _, field := range l.Fields(key) {
			data[field] = "‹" + field + "›\n\n\n "
		}
	}
	data["N"], data["Left"] = 4, 4
	plainOnes := 0
	for _, lang := range Languages {
		for _, key := range l.Keys() {
			p, ok := l.plain[lang][key]
			if !ok {
				continue
			}
			plainOnes++
			want, err := l.localizer[lang].Localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: data})
			if err != nil {
				t.Errorf("%s %s: %v", lang, key, err)
			}
			if got := p.fill(data); got != tidy(want) {
				t.Errorf("%s %s = %q, the engine writes %q", lang, key, got, tidy(want))
			}
		}
	}
	if plainOnes < 200 {
		t.Errorf("only %d texts need no engine", plainOnes)
	}
}

func BenchmarkText(b *testing.B) {
	l, err := Load(Files(""), time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2024, 6, 17, 17, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		l.Moment("vi", at, at.AddDate(0, 0, 1))
	}
}
