package understand

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Report reads sentences with the intent they should have (CSV with a header
// that names the columns text and intent, in any order; a byte order mark is
// passed over), writes each that is taken for something else as text, wanted and
// got, separated by tabs, and ends with "N of M right". The error tells the line
// of a file that cannot be read.
func Report(w io.Writer, sentences io.Reader, u *Understander) error {
	rows, err := readSentences(sentences)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	right := 0
	for _, r := range rows {
		got := string(u.Understand(r.text).Intent)
		if got == r.intent {
			right++
			continue
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", oneLine.Replace(r.text), r.intent, got)
	}
	fmt.Fprintf(out, "%d of %d right\n", right, len(rows))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

var oneLine = strings.NewReplacer("\t", " ", "\r\n", " ", "\n", " ", "\r", " ")

// labelled is a sentence with the intent it should have.
type labelled struct{ text, intent string }

func readSentences(r io.Reader) ([]labelled, error) {
	in := bufio.NewReader(r)
	if bom, err := in.Peek(3); err == nil && bytes.Equal(bom, []byte("\uFEFF")) {
		if _, err := in.Discard(3); err != nil {
			return nil, fmt.Errorf("read sentences: %w", err)
		}
	}
	c := csv.NewReader(in)
	c.FieldsPerRecord = -1
	head, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("read sentences: the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("read sentences: %w", err)
	}
	text, intent := -1, -1
	for i, name := range head {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "text":
			text = i
		case "intent":
			intent = i
		}
	}
	if text < 0 || intent < 0 {
		return nil, fmt.Errorf("read sentences: the first line must name the columns text and intent, not %q", strings.Join(head, ","))
	}
	var rows []labelled
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read sentences: %w", err)
		}
		line, _ := c.FieldPos(0)
		if len(row) <= max(text, intent) {
			return nil, fmt.Errorf("read sentences: line %d has %d columns, not text and intent", line, len(row))
		}
		rows = append(rows, labelled{row[text], strings.ToLower(strings.TrimSpace(row[intent]))})
	}
}
