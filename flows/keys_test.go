package flows_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"congdanso/content"
	"congdanso/flows"
)

// use is one place in the code that asks for a text.
type use struct {
	key    string
	fields []string // names given to the template; nil where the code does not show them
	known  bool     // whether fields can be told from the code
	at     token.Position
}

// sources are the flows' files that are not tests.
func sources(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.HasPrefix(path, "flowtest") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		files = append(files, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d files of flows", len(files))
	}
	return set, files
}

// uses finds every string that looks like a key, and what T is given beside it.
func uses(set *token.FileSet, files []*ast.File, keys []string) []use {
	var all []use
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if u, ok := called(call); ok {
					u.at = set.Position(call.Pos())
					all = append(all, u)
				}
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			key, err := strconv.Unquote(lit.Value)
			if err == nil && looksLikeKey(key, keys) {
				all = append(all, use{key: key, at: set.Position(lit.Pos())})
			}
			return true
		})
	}
	return all
}

// called reads t.T("key", "Name", value, …).
func called(call *ast.CallExpr) (use, bool) {
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || fun.Sel.Name != "T" || len(call.Args) == 0 || call.Ellipsis.IsValid() {
		return use{}, false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return use{}, false
	}
	u := use{known: true, fields: []string{}}
	u.key, _ = strconv.Unquote(lit.Value)
	for i := 1; i < len(call.Args); i += 2 {
		name, ok := call.Args[i].(*ast.BasicLit)
		if !ok {
			return use{}, false
		}
		field, _ := strconv.Unquote(name.Value)
		u.fields = append(u.fields, field)
	}
	return u, true
}

// looksLikeKey: words joined by dots, the first being one that keys begin with.
func looksLikeKey(s string, keys []string) bool {
	first, rest, ok := strings.Cut(s, ".")
	if !ok || rest == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && r != '_' && !unicode.IsLower(r) && !unicode.IsDigit(r)
	}) {
		return false
	}
	return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, first+".") })
}

func library(t *testing.T) *content.Library {
	t.Helper()
	l, err := content.Load(content.Files(""), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Every key the code asks for exists, is given what its text needs, and no text
// is kept that nobody says.
func TestKeys(t *testing.T) {
	l := library(t)
	keys := l.Keys()
	set, files := sources(t)
	said := map[string]bool{}
	for _, u := range uses(set, files, keys) {
		said[u.key] = true
		if !slices.Contains(keys, u.key) {
			// alert.person stands for a mail's subject and body
			if slices.Contains(keys, u.key+".subject") && slices.Contains(keys, u.key+".body") {
				said[u.key+".subject"], said[u.key+".body"] = true, true
				continue
			}
			t.Errorf("%s: no text %q", u.at, u.key)
			continue
		}
		for _, field := range l.Fields(u.key) {
			if u.known && !slices.Contains(u.fields, field) {
				t.Errorf("%s: %q needs %q", u.at, u.key, field)
			}
		}
	}
	for _, key := range alerts(t) {
		if !slices.Contains(keys, key+".subject") || !slices.Contains(keys, key+".body") {
			t.Errorf("no mail %q", key)
		}
	}
	for _, item := range slices.Concat(l.Menu("main"), l.Menu("more")) {
		said[item.Button] = true
	}
	for _, topic := range l.Topics() {
		for _, what := range []string{"name", "about", "words"} {
			said[content.TopicKey(topic.Key, what)] = true
		}
	}
	ours := []string{"way"}
	for _, f := range flows.All(flows.Deps{Content: l}) {
		ours = append(ours, f.Name())
	}
	for _, key := range keys {
		first, _, _ := strings.Cut(key, ".")
		if !said[key] && slices.Contains(ours, first) {
			t.Errorf("nobody says %q", key)
		}
	}
}

var alertKey = regexp.MustCompile(`"(alert\.[a-z_]+)"`)

// alerts are the keys of all mails to operators that the project sends.
func alerts(t *testing.T) []string {
	t.Helper()
	var keys []string
	for _, dir := range []string{"../cmd", "../bot", "../flows", "../integrations"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(path)
			for _, m := range alertKey.FindAllSubmatch(raw, -1) {
				keys = append(keys, string(m[1]))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) < 3 {
		t.Fatalf("only %v", keys)
	}
	return keys
}
