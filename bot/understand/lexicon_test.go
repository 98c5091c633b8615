package understand_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"congdanso/bot/understand"
	"congdanso/content"
)

func TestLexiconIsSound(t *testing.T) {
	for _, err := range understand.Check(content.Files("")) {
		t.Error(err)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	const good = `
filler = ["ạ"]
closing = ["không"]
[concept]
greeting = ["chào"]
[intent.greet]
whole = ["{greeting}"]
`
	for _, c := range []struct{ name, file, want string }{
		{"good", good, ""},
		{"not toml", "intent = [", "toml"},
		{"nothing", "", "no intents"},
		{"unknown key", good + "wholes = [\"x\"]", "unknown key"},
		{"unknown intent", good + "[intent.dance]\nwhole = [\"x\"]", `unknown intent "dance"`},
		{"unknown concept", good + "[intent.menu]\nwhole = [\"{x}\"]", `unknown concept "x"`},
		{"two intents", good + "[intent.menu]\nwhole = [\"a b\"]\n[intent.data]\nclear = [\"a  b\"]", "is in intent data and in intent menu"},
		{"twice in one", good + "[intent.menu]\nwhole = [\"a\", \"a\"]", "twice"},
		{"fixed phrase of two", good + "[intent.menu]\nsure = [\"a\"]\n[intent.data]\nsure = [\"a\"]", "is in intent data and in intent menu"},
		{"empty intent", good + "[intent.menu]\nwhole = []", "has no patterns"},
		{"empty pattern", good + "[intent.menu]\nwhole = [\"a + \"]", "without words"},
		{"no words", good + "[intent.menu]\nwhole = [\"?!\"]", "has no words"},
		{"mixed", good + "[intent.menu]\nwhole = [\"a + b .. c\"]", "mixes"},
		{"empty concept", strings.Replace(good, `["chào"]`, `[]`, 1), "is empty"},
		{"phrase twice", strings.Replace(good, `["chào"]`, `["hoà", "hòa"]`, 1), "there twice"},
		{"unused concept", strings.Replace(good, "[intent.greet]", "bye = [\"tạm biệt\"]\n[intent.greet]", 1), "used nowhere"},
		{"no choice", good + "[[ask]]\nbetween = [\"menu\"]\nwhole = [\"a\"]", "nothing to choose"},
		{"choice of nothing", good + "[[ask]]\nbetween = [\"menu\", \"dance\"]\nwhole = [\"a\"]", `unknown intent "dance"`},
		{"doubt", good + "[intent.stop]\nacts = true\nshare = 0.5\nwhole = [\"a\"]", "doubt"},
		{"share", good + "[intent.stop]\nacts = true\ndoubt = \"greet\"\nwhole = [\"a\"]", "share"},
		{"too long", good + "[intent.menu]\nwhole = [\"a b c d e f g h i\"]", "more than 8 words"},
		{"shortened word", good + "[intent.menu]\nwhole = [\"xem hs\"]\n[short]\n\"hs\" = \"hồ sơ\"", "write that"},
		{"examples", good + "[example]\ngreet = [\"a\"]\nnone = [\"A\"]", "is of greet and of none"},
		{"example of nothing", good + "[example]\ndance = [\"a\"]", "unknown intent"},
		{"empty example", good + "[example]\ngreet = [\"?\"]", "has no words"},
		{"short", good + "[short]\n\"a b\" = \"c\"", "one word is short"},
		{"courtesy", "courtesy = [\"x\"]\n" + good, "unknown concept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{"understanding/lexicon.toml": {Data: []byte(c.file)}}
			errs := understand.Check(files)
			_, err := understand.New(files)
			if c.want == "" {
				if len(errs) > 0 || err != nil {
					t.Fatalf("faults in a good lexicon: %v, %v", errs, err)
				}
				return
			}
			if all := errors.Join(errs...); all == nil || !strings.Contains(all.Error(), c.want) {
				t.Errorf("Check: %v, want one with %q", all, c.want)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New: %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestLexiconInSeveralFiles(t *testing.T) {
	files := fstest.MapFS{
		"understanding/a.toml":   {Data: []byte("filler = [\"ạ\"]\nclosing = [\"không\"]\n[concept]\ngreeting = [\"chào\"]")},
		"understanding/b.toml":   {Data: []byte("filler = [\"nhé\"]\n[intent.greet]\nwhole = [\"{greeting}\"]")},
		"understanding/notes.md": {Data: []byte("not a lexicon")},
	}
	u, err := understand.New(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Understand("chao nhe a"); got.Intent != "greet" {
		t.Errorf("got %+v", got)
	}
	files["understanding/c.toml"] = &fstest.MapFile{Data: []byte("[concept]\ngreeting = [\"hi\"]")}
	if errs := understand.Check(files); len(errs) != 1 || !strings.Contains(errs[0].Error(), "two files") {
		t.Errorf("the same concept in two files: %v", errs)
	}
	if errs := understand.Check(fstest.MapFS{}); len(errs) == 0 {
		t.Error("no lexicon at all is no fault")
	}
}

func TestReport(t *testing.T) {
	u := load(t)
	for _, c := range []struct{ name, in, want string }{
		{"right", "text,intent\ntra cứu hồ sơ,lookup\n", "1 of 1 right\n"},
		{"wrong", "text,intent\ntra cứu hồ sơ,greet\nxin chào,greet\n", "tra cứu hồ sơ\tgreet\tlookup\n1 of 2 right\n"},
		{"mark, order, CRLF", "\uFEFFIntent,note,Text\r\ngreet,x,\"xin chào\"\r\n", "1 of 1 right\n"},
		{"tabs and lines", "text,intent\n\"a\tb\nc\",menu\n", "a b c\tmenu\tnone\n0 of 1 right\n"},
		{"only a header", "text,intent\n", "0 of 0 right\n"},
	} {
		var out bytes.Buffer
		if err := understand.Report(&out, strings.NewReader(c.in), u); err != nil || out.String() != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, out.String(), err, c.want)
		}
	}
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", "empty"},
		{"no header", "xin chào,greet\n", "must name the columns"},
		{"short row", "text,intent\nxin chào,greet\nxin chào\n", "line 3"},
		{"quotes", "text,intent\n\"xin chào,greet\n", "line"},
	} {
		err := understand.Report(&bytes.Buffer{}, strings.NewReader(c.in), u)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one with %q", c.name, err, c.want)
		}
	}
}
