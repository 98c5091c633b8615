package broadcast

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/unicode/norm"

	"congdanso/bot"
	"congdanso/bot/push"
	"congdanso/bot/seal"
	"congdanso/bot/setting"
	"congdanso/bot/staff"
	"congdanso/bot/unit"
	"congdanso/content"
	"congdanso/integrations/postgres/pgtest"
)

const testOA = "3612345678901234567"

// noon is a Tuesday, 12:00 where people live.
var noon = time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)

// desk is a store with a database of its own.
type desk struct {
	*Store
	t     testing.TB
	texts *content.Library
}

// library and communes are read once for all desks.
var (
	library  = sync.OnceValues(func() (*content.Library, error) { return content.Load(content.Files(""), unit.Zone) })
	communes = sync.OnceValues(func() (*unit.Units, error) { return unit.Load(content.Files("")) })
)

func testTexts(t testing.TB) *content.Library {
	t.Helper()
	texts, err := library()
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func newDesk(t testing.TB) *desk { return newDeskOn(t, pgtest.New(t)) }

func newDeskOn(t testing.TB, pool *pgxpool.Pool) *desk {
	t.Helper()
	units, err := communes()
	if err != nil {
		t.Fatal(err)
	}
	keys, texts := seal.ForTest(), testTexts(t)
	return &desk{t: t, texts: texts, Store: NewStore(Options{
		Pool: pool, Keys: keys, Push: push.NewStore(pool, keys), Texts: texts, Units: units, PublicURL: "https://kenh.example.vn",
		Staff:  staff.NewStore(pool, keys, func() time.Time { return noon }),
		Values: func() setting.Values { return setting.Values{} }, Alarm: func(string, ...any) {},
	})}
}

func (d *desk) exec(sql string, args ...any) {
	d.t.Helper()
	if _, err := d.Pool.Exec(context.Background(), sql, args...); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

func (d *desk) int(sql string, args ...any) (n int64) {
	d.t.Helper()
	if err := d.Pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

var declared = Upload{OA: testOA, Title: "Hộ nghèo xã Mẫu", Source: "UBND xã Mẫu", Basis: "Quyết định 12/QĐ-UBND", By: "an"}

func (d *desk) upload(raw []byte) (List, []RowFault, string, error) {
	d.t.Helper()
	var corrected bytes.Buffer
	list, faults, err := d.UploadList(context.Background(), declared, bytes.NewReader(raw), int64(len(raw)), &corrected, bot.Vietnamese, noon)
	return list, faults, corrected.String(), err
}

// numbers opens what the table keeps of a list.
func (d *desk) numbers(list int64) []string {
	d.t.Helper()
	rows, err := d.Pool.Query(context.Background(), `SELECT phone FROM broadcast_list_row WHERE list = $1`, list)
	if err != nil {
		d.t.Fatal(err)
	}
	sealed, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		d.t.Fatal(err)
	}
	var phones []string
	for _, s := range sealed {
		plain, err := d.Keys.Open("list", s)
		if err != nil {
			d.t.Fatal(err)
		}
		phones = append(phones, string(plain))
	}
	slices.Sort(phones)
	return phones
}

// refusedAs reports whether err is refused for why.
func refusedAs(err error, why string) bool {
	var r *Refused
	return errors.As(err, &r) && r.Why == why
}

func encode(t testing.TB, e encoding.Encoding, s string) []byte {
	t.Helper()
	raw, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// windows1258 writes Vietnamese as Excel does: base letters precomposed, tones behind them.
func windows1258(t testing.TB, s string) []byte {
	t.Helper()
	var b strings.Builder
	for _, r := range s {
		if _, ok := charmap.Windows1258.EncodeRune(r); ok {
			b.WriteRune(r)
			continue
		}
		d := []rune(norm.NFD.String(string(r))) // base, shape, tone
		tone := d[len(d)-1]
		base := norm.NFC.String(string(d[:len(d)-1]))
		if len(d) == 3 && d[1] == '\u0323' { // the dot below comes before the shape
			base, tone = norm.NFC.String(string([]rune{d[0], d[2]})), d[1]
		}
		b.WriteString(base + string(tone))
	}
	return encode(t, charmap.Windows1258, b.String())
}

func workbookOf(t testing.TB, fill func(*excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	fill(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func set(t testing.TB, f *excelize.File, cell string, v any) {
	t.Helper()
	if err := f.SetCellValue("Sheet1", cell, v); err != nil {
		t.Fatal(err)
	}
}

func TestFilesFromEverywhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	plain := "Họ tên,Số điện thoại,Ghi chú\nNguyễn Văn Mẫu,0912345678,x\nTrần Thị Ví Dụ,+84 987 654 321,\n"
	utf16 := func(order unicode.Endianness, bom unicode.BOMPolicy, s string) []byte {
		return encode(t, unicode.UTF16(order, bom), s)
	}
	for name, raw := range map[string][]byte{
		"UTF-8":                 []byte(plain),
		"UTF-8 with a mark":     []byte("\uFEFF" + plain),
		"UTF-16 little":         utf16(unicode.LittleEndian, unicode.UseBOM, plain),
		"UTF-16 big":            utf16(unicode.BigEndian, unicode.UseBOM, plain),
		"UTF-16 without a mark": utf16(unicode.LittleEndian, unicode.IgnoreBOM, plain),
		"big without a mark":    utf16(unicode.BigEndian, unicode.IgnoreBOM, plain),
		"Windows-1258":          windows1258(t, plain),
		"decomposed":            []byte(norm.NFD.String(plain)),
		"semicolons":            []byte(strings.ReplaceAll(plain, ",", ";")),
		"tabs":                  []byte(strings.ReplaceAll(plain, ",", "\t")),
		"UTF-16 with tabs":      utf16(unicode.LittleEndian, unicode.UseBOM, strings.ReplaceAll(plain, ",", "\t")),
		"Excel's own line":      []byte("sep=;\r\n" + strings.ReplaceAll(plain, ",", ";")),
		"CR LF":                 []byte(strings.ReplaceAll(plain, "\n", "\r\n")),
		"a title above":         []byte("Danh sách hộ nghèo\n\n" + plain),
		"English":               []byte("Name,Phone number\nA,0912345678\nB,0987654321\n"),
		"short headings":        []byte("STT;SĐT\n1;912345678\n2;987654321"),
		"no headings":           []byte("A;0912345678\nB;0987654321"),
		"one column":            []byte("0912345678\n0987654321\n"),
		"quotes":                []byte("\"Họ tên\",\"sdt\"\n\"Mẫu, Văn\",\"0912345678\"\n\"Dụ\nThị\",\"0987654321\"\n"),
		"xlsx": workbookOf(t, func(f *excelize.File) {
			set(t, f, "A1", "Họ và tên")
			set(t, f, "B1", "Số điện thoại")
			set(t, f, "A2", "Mẫu")
			set(t, f, "B2", 912345678)
			set(t, f, "A3", "Dụ")
			set(t, f, "B3", "0987654321")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			list, faults, _, err := d.upload(raw)
			if err != nil || len(faults) > 0 {
				t.Fatalf("error %v, faults %v", err, faults)
			}
			if diff := cmp.Diff([]string{"84912345678", "84987654321"}, d.numbers(list.ID)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultsByRowAndACorrectedFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	raw := "Họ tên;SĐT\nA;0912345678\nB;9.12E+08\n\nC;+84 912 345 678\nD;không có\nE;\nF;0229 3871 234\nG;0987654321\n"
	list, faults, corrected, err := d.upload([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := []RowFault{{3, "•.••E+••", faultRounded}, {5, "•••••••• ••• •••", faultDuplicate}, {6, "k•••• c•", faultLetters},
		{7, "", faultEmpty}, {8, "•••• •••• 234", faultLandline}}
	want[1].Value = maskValue("+84 912 345 678")
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Error(diff)
	}
	if list.People != 2 || list.Duplicates != 1 || list.Faults != 4 {
		t.Errorf("list = %+v", list)
	}
	body, marked := strings.CutPrefix(corrected, "\uFEFF")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if !marked || err != nil || len(rows) != 8 {
		t.Fatalf("corrected file %q: %v", corrected, err)
	}
	if diff := cmp.Diff([]string{"Số điện thoại", "Dòng trong tệp gốc", "Lỗi"}, rows[0]); diff != "" {
		t.Error(diff)
	}
	if rows[1][0] != "0912 345 678" || rows[1][2] != "" || rows[2][0] != "'9.12E+08" || !strings.Contains(rows[2][2], "làm tròn") {
		t.Errorf("rows %q", rows)
	}
	// Mended, it is the list that was meant.
	again, faults, _, err := d.upload([]byte(strings.Replace(corrected, "'9.12E+08", "0912 000 000", 1)))
	if err != nil || again.People != 3 || len(faults) != 4 {
		t.Errorf("again: %+v, %v, %v", again, faults, err)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	zipped := func(says uint64) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		_, err := z.CreateRaw(&zip.FileHeader{Name: "xl/worksheets/sheet1.xml", Method: zip.Deflate, UncompressedSize64: says})
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"empty":            {nil, "list_column"},
		"no column":        {[]byte("Họ tên,Ghi chú\nA,x\nB,y\n"), "list_column"},
		"nobody":           {[]byte("sdt\n12\n\n34\n"), "list_nobody"},
		"a picture":        {[]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01"), "list_unreadable"},
		"old Excel":        {[]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest"), "list_old_excel"},
		"a zip, no book":   {zipped(1), "list_unreadable"},
		"a zip bomb":       {zipped(300 << 20), "list_bomb"},
		"cut off workbook": {workbookOf(t, func(f *excelize.File) { set(t, f, "A1", "0912345678") })[:2000], "list_unreadable"},
		"an empty book":    {workbookOf(t, func(*excelize.File) {}), "list_column"},
		"a crowd of lines": {[]byte(strings.Repeat("Danh sách\n", 30)), "list_column"},
	} {
		if _, _, _, err := d.upload(c.raw); !refusedAs(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if words := refuse(c.want).Text(d.texts, bot.Vietnamese); strings.Contains(words, "broadcast.") {
			t.Errorf("%s has no words", c.want)
		}
	}
	if n := d.int(`SELECT (SELECT count(*) FROM broadcast_list) + (SELECT count(*) FROM broadcast_list_row)`); n != 0 {
		t.Errorf("%d rows are kept of lists that were refused", n)
	}
	large := bytes.NewReader(nil)
	if _, _, err := d.UploadList(t.Context(), declared, large, MaxListBytes+1, io.Discard, bot.Vietnamese, noon); !refusedAs(err, "list_size") {
		t.Errorf("large: %v", err)
	}
	undeclared := declared
	undeclared.Basis = " "
	if _, _, err := d.UploadList(t.Context(), undeclared, large, 0, io.Discard, bot.Vietnamese, noon); !refusedAs(err, "list_undeclared") {
		t.Errorf("undeclared: %v", err)
	}
}

// 300,000 rows in an encoding of Excel's, most of them more than once, and the memory
// they take.
func TestLongList(t *testing.T) {
	d := newDesk(t)
	const rows = 300_000
	long := func(line func(string) []byte, people int) []byte {
		var b bytes.Buffer
		b.Write(line("Họ tên;Số điện thoại\r\n"))
		before := line("Nguyễn Văn Mẫu;")
		end := line("\r\n")
		for i := range rows {
			b.Write(before)
			b.Write(line(fmt.Sprintf("9%08d", i%people)))
			b.Write(end)
		}
		return b.Bytes()
	}
	little := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	for name, c := range map[string]struct {
		raw    []byte
		people int
	}{
		"UTF-16":       {append([]byte{0xFF, 0xFE}, long(func(s string) []byte { return encode(t, little, s) }, 60_000)...), 60_000},
		"Windows-1258": {long(func(s string) []byte { return windows1258(t, s) }, 3_000), 3_000},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		list, faults, err := d.UploadList(t.Context(), declared, bytes.NewReader(c.raw), int64(len(c.raw)), io.Discard, bot.Vietnamese, noon)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if list.People != c.people || list.Duplicates != rows-c.people || list.Faults != 0 || len(faults) != toldFaults {
			t.Errorf("%s: list = %+v, %d faults told", name, list, len(faults))
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
			t.Errorf("%s: %d KiB stay in memory", name, grown>>10)
		}
		if n := d.int(`SELECT count(*) FROM broadcast_list_row WHERE list = $1`, list.ID); n != int64(c.people) {
			t.Errorf("%s: %d numbers kept", name, n)
		}
	}
}

func TestListAndChannel(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	list, _, _, err := d.upload([]byte("sdt\n0912345678\n0987654321\n0933333333\n"))
	if err != nil {
		t.Fatal(err)
	}
	hash := func(phone string) []byte { return d.Keys.Hash("phone", phone) }
	for i, c := range []struct {
		phone  string
		proven any
	}{{"84912345678", noon}, {"84912345678", nil}, {"84987654321", nil}, {"84900000000", noon}} {
		d.exec(`INSERT INTO citizen (oa_id, citizen, created_at, phone_hash, phone_proven_at) VALUES ($1, $2, $3, $4, $5)`,
			testOA, fmt.Sprint("u", i), noon, hash(c.phone), c.proven)
	}
	got, err := d.CountList(t.Context(), testOA, list.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ListCount{Channel: 2, Proven: 1, Absent: 1}, got); diff != "" {
		t.Error(diff)
	}
	// The same numbers in another order and spelling have the same digest.
	same, _, _, err := d.upload([]byte("phone\n+84 933 333 333\n912345678\n0987.654.321\n0912345678\n"))
	if err != nil || !bytes.Equal(list.Digest, same.Digest) {
		t.Errorf("digests %x and %x: %v", list.Digest, same.Digest, err)
	}
	other, _, _, err := d.upload([]byte("phone\n0912345678\n0987654321\n"))
	if err != nil || bytes.Equal(list.Digest, other.Digest) {
		t.Errorf("digests are equal: %v", err)
	}
	// An erased person's number leaves the lists.
	err = pgx.BeginFunc(t.Context(), d.Pool, func(tx pgx.Tx) error {
		return d.EraseCitizen(t.Context(), tx, bot.CitizenID{OA: testOA, User: "u2"})
	})
	if err != nil || slices.Contains(d.numbers(list.ID), "84987654321") {
		t.Errorf("still there after erasing: %v", err)
	}
	// Thirty days after the report the numbers go, and what was declared stays.
	err = pgx.BeginFunc(t.Context(), d.Pool, func(tx pgx.Tx) error { return d.ListReported(t.Context(), tx, list.ID, noon) })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		days int
		want int64
	}{{29, 0}, {30, 2}, {31, 0}} {
		if n, err := d.PurgeLists(t.Context(), noon.AddDate(0, 0, c.days)); err != nil || n != c.want {
			t.Errorf("day %d: %d purged, %v", c.days, n, err)
		}
	}
	if kept, err := d.GetList(t.Context(), list.ID); err != nil || kept.Source != declared.Source || kept.PurgedAt.IsZero() {
		t.Errorf("kept %+v: %v", kept, err)
	}
	if err := d.listThere(t.Context(), list.ID); !refusedAs(err, "list_gone") {
		t.Errorf("a purged list: %v", err)
	}
}

// FuzzReadList: whatever a file holds, reading it ends, and what comes out are
// values of rows in their order.
func FuzzReadList(f *testing.F) {
	f.Add([]byte("sdt\n0912345678\n"))
	f.Add([]byte("\xff\xfe0\x009\x00"))
	f.Add([]byte("a;b;\"c\n0912345678;;\n\"\"\";"))
	f.Add([]byte("sep=\n0912345678"))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\xc3\xa0\xcc\xf2\xde\n0912345678"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := openSheet(bytes.NewReader(raw), int64(len(raw)))
		if err == nil {
			last := 0
			err = readList(rows, func(row int, value string) error {
				if row < last {
					t.Fatalf("row %d after %d", row, last)
				}
				last = row
				readPhone(value)
				return nil
			})
			rows.close()
		}
		var r *Refused
		if err != nil && !errors.As(err, &r) {
			t.Fatal(err)
		}
	})
}
