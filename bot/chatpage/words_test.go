package chatpage

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"congdanso/bot"
	"congdanso/content"
)

// Every text the page asks for exists in both languages, and none stands there
// unused.
func TestWords(t *testing.T) {
	texts, err := content.Load(content.Files(""), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(raw)
		}
	}
	used := map[string]bool{}
	for _, match := range regexp.MustCompile(`\.T[ (]"([a-z_.]+[a-z])"`).FindAllStringSubmatch(sources.String(), -1) {
		used["chatpage."+match[1]] = true
	}
	for _, kind := range append(kinds, "gif", "link", "form") {
		used["chatpage.media."+kind] = true
	}
	for _, state := range []string{"sending", "delivered", "seen"} {
		used["chatpage.tick."+state] = true
	}
	for key := range used {
		for _, lang := range []string{bot.Vietnamese, bot.English} {
			if text := texts.Text(lang, key, nil); text == key || text == "" {
				t.Errorf("%s: no text for %s", lang, key)
			}
		}
	}
	raw, err := fs.ReadFile(content.Files(""), "locales/chatpage.vi.toml")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := toml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var walk func(prefix string, table map[string]any)
	walk = func(prefix string, table map[string]any) {
		for name, value := range table {
			if inner, ok := value.(map[string]any); ok {
				walk(prefix+name+".", inner)
			} else if !used[prefix+name] {
				t.Errorf("nothing says %s", prefix+name)
			}
		}
	}
	walk("", file)
}
