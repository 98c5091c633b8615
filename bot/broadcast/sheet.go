package broadcast

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"congdanso/bot/fold"
)

// Limits of an uploaded file.
const (
	MaxListBytes = 32 << 20
	MaxListRows  = 1_000_000
	// mostUnzipped bounds what a workbook grows to; a larger one is no list of people.
	mostUnzipped = 256 << 20
	// keptInMemory is the part of a workbook that is not put on disk while it is read.
	keptInMemory = 8 << 20
	mostEntries  = 2_000
)

// source is a file's rows, one after the other.
type source interface {
	// next returns the next row and its number in the file, or io.EOF. The row is
	// valid until the next call.
	next() (cells []string, number int, err error)
	close() error
}

// openSheet finds out what a file is and reads it as such.
func openSheet(file io.ReaderAt, size int64) (source, error) {
	if size > MaxListBytes {
		return nil, refuse("list_size", "Most", MaxListBytes>>20)
	}
	head := make([]byte, 512)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read list: %w", err)
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return openWorkbook(file, size)
	case bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0")): // .xls, or a workbook with a password
		return nil, refuse("list_old_excel")
	}
	return openCSV(file, size, head)
}

// workbook is the first sheet of an Excel file that has rows.
type workbook struct {
	file *excelize.File
	rows *excelize.Rows
	row  int
}

// openWorkbook refuses what says it grows beyond reason before anything is
// unpacked, and what lies about it while it is.
func openWorkbook(file io.ReaderAt, size int64) (source, error) {
	z, err := zip.NewReader(file, size)
	if err != nil {
		return nil, refuse("list_unreadable")
	}
	var total uint64
	for _, f := range z.File {
		if total += f.UncompressedSize64; total > mostUnzipped || f.UncompressedSize64 > mostUnzipped {
			return nil, refuse("list_bomb")
		}
	}
	if len(z.File) > mostEntries {
		return nil, refuse("list_bomb")
	}
	book, err := excelize.OpenReader(io.NewSectionReader(file, 0, size), excelize.Options{
		RawCellValue: true, UnzipSizeLimit: mostUnzipped, UnzipXMLSizeLimit: keptInMemory,
	})
	if err != nil {
		return nil, refuse("list_unreadable")
	}
	for _, name := range book.GetSheetList() {
		if visible, err := book.GetSheetVisible(name); err != nil || !visible {
			continue
		}
		rows, err := book.Rows(name)
		if err != nil {
			continue // a chart
		}
		return &workbook{file: book, rows: rows}, nil
	}
	book.Close()
	return nil, refuse("list_empty")
}

func (w *workbook) next() ([]string, int, error) {
	if !w.rows.Next() {
		if err := w.rows.Error(); err != nil {
			return nil, w.row, refuse("list_unreadable")
		}
		return nil, w.row, io.EOF
	}
	w.row++
	cells, err := w.rows.Columns(excelize.Options{RawCellValue: true})
	if err != nil {
		return nil, w.row, refuse("list_unreadable")
	}
	return cells, w.row, nil
}

// close removes what was put on disk too.
func (w *workbook) close() error { return errors.Join(w.rows.Close(), w.file.Close()) }

// table is a file of separated values.
type table struct{ csv *csv.Reader }

// openCSV finds encoding and separator.
func openCSV(file io.ReaderAt, size int64, head []byte) (source, error) {
	decoded, err := decode(io.NewSectionReader(file, 0, size), head)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewReaderSize(decoded, 64<<10)
	first, err := lines.Peek(32 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read list: %w", err)
	}
	start, _, _ := strings.Cut(strings.TrimLeft(string(first), "\r\n"), "\n")
	comma := separator(start)
	if rest, found := strings.CutPrefix(strings.TrimSpace(start), "sep="); found && len(rest) <= 1 {
		// Excel's own line about the separator.
		if comma = '\t'; rest != "" {
			comma = rune(rest[0])
		}
	}
	r := csv.NewReader(lines)
	if strings.ContainsRune(",;\t|", comma) {
		r.Comma = comma
	}
	r.LazyQuotes, r.FieldsPerRecord, r.ReuseRecord, r.TrimLeadingSpace = true, -1, true, r.Comma != '\t'
	return &table{r}, nil
}

// separator is the one that a line holds most of, outside quotes.
func separator(line string) rune {
	counts, quoted := map[rune]int{}, false
	for _, r := range line {
		if r == '"' {
			quoted = !quoted
		} else if !quoted {
			counts[r]++
		}
	}
	best := ','
	for _, r := range ";\t|" {
		if counts[r] > counts[best] {
			best = r
		}
	}
	return best
}

func (t *table) next() ([]string, int, error) {
	cells, err := t.csv.Read()
	if err != nil {
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			return nil, parse.Line, refuse("list_unreadable")
		}
		return nil, 0, err
	}
	line, _ := t.csv.FieldPos(0)
	return cells, line, nil
}

func (t *table) close() error { return nil }

// decode reads a text in the encoding it is written in: as its mark says, else
// UTF-16 where every other byte is zero, UTF-8 where all of it is, and Windows-1258,
// Excel's for Vietnamese, for the rest.
func decode(file *io.SectionReader, head []byte) (io.Reader, error) {
	utf16 := func(order unicode.Endianness) io.Reader {
		return transform.NewReader(file, unicode.UTF16(order, unicode.UseBOM).NewDecoder())
	}
	zeros := [2]int{}
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return utf16(unicode.LittleEndian), nil
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return utf16(unicode.BigEndian), nil
	case zeros[1] > len(head)/8 && zeros[1] > 4*zeros[0]:
		return utf16(unicode.LittleEndian), nil
	case zeros[0] > len(head)/8 && zeros[0] > 4*zeros[1]:
		return utf16(unicode.BigEndian), nil
	case zeros[0]+zeros[1] > 0:
		return nil, refuse("list_unreadable") // no text at all
	}
	ok, err := isUTF8(file)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	if !ok {
		return transform.NewReader(file, charmap.Windows1258.NewDecoder()), nil
	}
	return transform.NewReader(file, unicode.UTF8BOM.NewDecoder()), nil
}

// isUTF8 reads a whole file to see whether it is UTF-8.
func isUTF8(r io.Reader) (bool, error) {
	buf := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := r.Read(buf[kept:])
		n += kept
		if errors.Is(err, io.EOF) {
			return utf8.Valid(buf[:n]), nil
		}
		if err != nil {
			return false, fmt.Errorf("read list: %w", err)
		}
		whole := n
		for back := 1; back < utf8.UTFMax && back <= n; back++ { // a character cut in two
			if utf8.RuneStart(buf[n-back]) {
				if !utf8.FullRune(buf[n-back : n]) {
					whole = n - back
				}
				break
			}
		}
		if !utf8.Valid(buf[:whole]) {
			return false, nil
		}
		kept = copy(buf, buf[whole:n])
	}
}

// phoneHeads are the headings under which numbers stand, folded.
var phoneHeads = map[string]bool{
	"so dien thoai": true, "dien thoai": true, "sdt": true, "so dt": true, "dt": true, "di dong": true,
	"so di dong": true, "dien thoai di dong": true, "so dien thoai di dong": true, "so dien thoai lien he": true,
	"phone": true, "phone number": true, "mobile": true, "mobile phone": true, "mobile number": true,
	"telephone": true, "tel": true, "cell": true, "zalo": true, "so zalo": true, "phonenumber": true,
}

// phoneColumn finds the column of numbers in a row: as a heading names it, or, in a
// list without headings, where a number stands. head is true for a heading.
func phoneColumn(cells []string) (column int, head, found bool) {
	for i, cell := range cells {
		if phoneHeads[fold.Fold(cell)] {
			return i, true, true
		}
	}
	for i, cell := range cells {
		if _, fault := readPhone(cell); fault == "" {
			return i, false, true
		}
	}
	return 0, false, false
}
