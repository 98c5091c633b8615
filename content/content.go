// Package content holds what people read, and how what they write is
// understood: locales, the lexicon of free text, and the province pack. It is
// embedded; any file can be overridden by one of the same name under
// CONTENT_DIR, so that another province changes texts without a build.
package content

import (
	"embed"
	"errors"
	"io/fs"
	"os"
)

//go:embed locales menus understanding units topics.toml province.toml province.sample.toml
var embedded embed.FS

// Files returns the content: the embedded files, with those under dir (when dir
// is not empty) taking their place.
func Files(dir string) fs.FS {
	if dir == "" {
		return embedded
	}
	return overlay{over: os.DirFS(dir), under: embedded}
}

// overlay reads a file from over when it is there, else from under, and lists
// the files of both.
type overlay struct{ over, under fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	f, err := o.over.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.under.Open(name)
	}
	return f, err
}

func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	under, errUnder := fs.ReadDir(o.under, name)
	over, errOver := fs.ReadDir(o.over, name)
	if errUnder != nil && errOver != nil {
		return nil, errUnder
	}
	seen := make(map[string]bool, len(over))
	for _, e := range over {
		seen[e.Name()] = true
	}
	for _, e := range under {
		if !seen[e.Name()] {
			over = append(over, e)
		}
	}
	return over, nil
}
