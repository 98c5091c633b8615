package content

import (
	"maps"
	"slices"
	"text/template"
	"text/template/parse"
)

// Keys are the keys of all texts, in any language, sorted.
func (l *Library) Keys() []string {
	return slices.Sorted(maps.Keys(mergedKeys(l)))
}

// Fields are the names that the texts of key read from their data, in any
// language, sorted.
func (l *Library) Fields(key string) []string {
	names := slices.DeleteFunc(l.fields(key), func(name string) bool { return name == "Count" && !l.counts(key) })
	slices.Sort(names)
	return slices.Compact(names)
}

// counts reports whether key's texts differ by number, or name it.
func (l *Library) counts(key string) bool {
	for _, messages := range l.messages {
		e, ok := messages[key]
		if !ok {
			continue
		}
		all := forms(e.message)
		if len(all) > 1 {
			return true
		}
		for _, form := range all {
			if names, err := templateFields(*form); err == nil && slices.Contains(names, "Count") {
				return true
			}
		}
	}
	return false
}

// templateFields lists the names a template reads from its data.
func templateFields(text string) ([]string, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var names []string
	var walk func(parse.Node)
	walk = func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ListNode:
			if n != nil {
				for _, child := range n.Nodes {
					walk(child)
				}
			}
		case *parse.ActionNode:
			walk(n.Pipe)
		case *parse.PipeNode:
			if n != nil {
				for _, c := range n.Cmds {
					for _, arg := range c.Args {
						walk(arg)
					}
				}
			}
		case *parse.IfNode:
			walk(n.Pipe)
			walk(n.List)
			walk(n.ElseList)
		case *parse.RangeNode:
			walk(n.Pipe)
			walk(n.List)
			walk(n.ElseList)
		case *parse.WithNode:
			walk(n.Pipe)
			walk(n.List)
			walk(n.ElseList)
		case *parse.FieldNode:
			names = append(names, n.Ident[0])
		}
	}
	if t.Tree != nil {
		walk(t.Root)
	}
	return names, nil
}

// fields are the names that the templates of key use in any language; nil when
// there is no such key.
func (l *Library) fields(key string) []string {
	var all []string
	found := false
	for _, messages := range l.messages {
		e, ok := messages[key]
		if !ok {
			continue
		}
		found = true
		for _, form := range forms(e.message) {
			names, err := templateFields(*form)
			if err == nil {
				all = append(all, names...)
			}
		}
	}
	if !found {
		return nil
	}
	return append(all, "Count")
}
