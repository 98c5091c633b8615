package push

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Whoever walks Reasons walks all there are.
func TestReasonsAreAll(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "ladder.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") || spec.Names[0].Name == "Reasons" {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !slices.Contains(Reasons, value) {
			t.Errorf("Reasons lacks %s (%v)", spec.Names[0].Name, err)
		}
		n++
		return true
	})
	if n == 0 || n != len(Reasons) {
		t.Errorf("%d reasons stand in the file, %d in the list", n, len(Reasons))
	}
}
