package unit_test

import (
	"encoding/csv"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"congdanso/bot/unit"
	"congdanso/content"
)

var (
	now   = time.Date(2026, 11, 23, 9, 0, 0, 0, unit.Zone)
	texts = func() *content.Library {
		l, err := content.Load(content.Files(""), unit.Zone)
		if err != nil {
			panic(err)
		}
		return l
	}()
)

func load(t testing.TB) *unit.Units {
	t.Helper()
	us, err := unit.Load(content.Files(""))
	if err != nil {
		t.Fatal(err)
	}
	return us
}

// table reads a CSV of the content as maps.
func table(t testing.TB, name string) []map[string]string {
	t.Helper()
	f, err := content.Files("").Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, r := range records[1:] {
		m := map[string]string{}
		for i, v := range r {
			m[records[0][i]] = v
		}
		rows = append(rows, m)
	}
	return rows
}

func codes(units []unit.Unit) []string {
	list := []string{}
	for _, u := range units {
		list = append(list, u.Code)
	}
	return list
}

func TestTheProvinceOfToday(t *testing.T) {
	us := load(t)
	count := map[string]int{}
	for _, u := range us.Communes(now) {
		count[u.Kind]++
		if u.Parent != "37" {
			t.Errorf("%s belongs to %q", u.Name, u.Parent)
		}
	}
	if diff := cmp.Diff(map[string]int{unit.Commune: 97, unit.Ward: 32}, count); diff != "" {
		t.Error(diff)
	}
	for _, day := range []struct {
		at   string
		want int // communes of the records: old Ninh Bình alone has both earlier eras
	}{
		{"2024-12-31", 143 + 273}, {"2025-01-01", 398}, {"2025-06-30", 398}, {"2025-07-01", 129},
	} {
		at, err := time.ParseInLocation(time.DateOnly, day.at, unit.Zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, hour := range []time.Duration{0, 24*time.Hour - 1} {
			if got := len(us.Communes(at.Add(hour).UTC())); got != day.want {
				t.Errorf("%s +%s: %d communes, want %d", day.at, hour, got, day.want)
			}
		}
	}
}

func TestOneCodeTwoUnits(t *testing.T) {
	us := load(t)
	for _, c := range []struct{ ref, name, kind string }{
		{"14329", "Hoa Lư", unit.Ward},
		{"14329@2025-06-30", "Vân Giang", unit.Ward},
		{"374", "Hoa Lư", unit.City},
		{"374@2024-12-31", "Hoa Lư", unit.District},
		{"37", "Ninh Bình", unit.Province},
	} {
		u, ok := us.Get(c.ref)
		if !ok || u.Name != c.name || u.Kind != c.kind {
			t.Errorf("Get(%s) = %+v, %v", c.ref, u, ok)
		}
		if again, _ := us.Get(u.Ref()); again != u {
			t.Errorf("Get(%s) = %+v, want %+v", u.Ref(), again, u)
		}
	}
	if u, ok := us.Current("14329", time.Date(2025, 3, 1, 0, 0, 0, 0, unit.Zone)); !ok || u.Name != "Vân Giang" {
		t.Errorf("14329 in March 2025: %+v", u)
	}
	if u, ok := us.Current("374", now); ok {
		t.Errorf("374 today: %+v", u)
	}
	for _, ref := range []string{"", "999", "14329@2020-01-01", "@"} {
		if u, ok := us.Get(ref); ok {
			t.Errorf("Get(%q) = %+v", ref, u)
		}
	}
}

func TestSuccessors(t *testing.T) {
	us := load(t)
	for _, c := range []struct {
		ref   string
		want  []string
		whole bool
	}{
		{"14329@2025-06-30", []string{"14329"}, true},
		{"14329@2024-12-31", []string{"14329"}, true},
		{"14329", []string{"14329"}, true},
		{"14464@2024-12-31", []string{"14464"}, true},                  // Me, then Thịnh Vượng, then Gia Viễn
		{"14455", []string{"14533"}, true},                             // Sơn Hà, then Phúc Sơn, then Tây Hoa Lư
		{"14503", []string{"14488", "14533"}, false},                   // Gia Tân was split
		{"369", []string{"14329", "14359", "14566"}, false},            // thành phố Ninh Bình
		{"374@2024-12-31", []string{"14329", "14359", "14533"}, false}, // huyện Hoa Lư
		{"999", []string{}, false},
	} {
		got, whole := us.Successors(c.ref, now)
		if diff := cmp.Diff(c.want, codes(got)); diff != "" || whole != c.whole {
			t.Errorf("%s: whole %v, %s", c.ref, whole, diff)
		}
	}
	if got, _ := us.Successors("37", now); len(got) != 129 {
		t.Errorf("the province has %d communes", len(got))
	}
	ha, _ := us.Successors("35", now)
	nam, _ := us.Successors("36", now)
	ninh, _ := us.Successors("37@2025-06-30", now)
	if len(ha) != 33 || len(nam) != 57 || len(ninh) != 39 {
		t.Errorf("the three old provinces became %d, %d and %d communes", len(ha), len(nam), len(ninh))
	}
	before := time.Date(2025, 3, 1, 0, 0, 0, 0, unit.Zone)
	if got, whole := us.Successors("14326", before); !whole || got[0].Name != "Vân Giang" {
		t.Errorf("Thanh Bình in March 2025: %v", got)
	}
}

func TestPredecessors(t *testing.T) {
	us := load(t)
	var refs []string
	for _, u := range us.Predecessors("14464") {
		refs = append(refs, u.Ref())
	}
	want := []string{"14464@2025-06-30", "14467@2025-06-30", "14464@2024-12-31", "14491@2024-12-31", "14497@2024-12-31"}
	if diff := cmp.Diff(want, refs); diff != "" {
		t.Error(diff)
	}
	if got := us.Predecessors("999"); len(got) != 0 {
		t.Errorf("999: %v", got)
	}
}

func TestExpand(t *testing.T) {
	us := load(t)
	e := us.Expand([]string{"14329", "14503", " 370 ", "nobody", "14329@2024-12-31"}, now)
	want := []string{"14329", "14362", "14365", "14371", "14488", "14533", "14725"}
	if diff := cmp.Diff(want, e.Present); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"14503"}, codes(e.Split)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"nobody"}, e.Unknown); diff != "" {
		t.Error(diff)
	}
	if e := us.Expand([]string{"37"}, now); len(e.Present) != 129 || len(e.Split) != 0 {
		t.Errorf("the province: %d communes, split %v", len(e.Present), e.Split)
	}
	if e := us.Expand([]string{"35", "36", "37@2025-06-30"}, now); len(e.Present) != 129 {
		t.Errorf("the old provinces: %d communes", len(e.Present))
	}
	if e := us.Expand([]string{"373"}, now); !slices.Equal(codes(e.Split), []string{"14503"}) {
		t.Errorf("huyện Gia Viễn: split %v", e.Split)
	}
}

func TestLabel(t *testing.T) {
	us := load(t)
	for _, c := range []struct{ ref, vi, en string }{
		{"14329", "phường Hoa Lư", "Hoa Lư ward"},
		{"14329@2025-06-30", "phường Vân Giang", "Vân Giang ward"},
		{"374@2024-12-31", "huyện Hoa Lư", "Hoa Lư district"},
		{"350", "thị xã Kim Bảng", "Kim Bảng town"},
		{"14464@2024-12-31", "thị trấn Me", "Me township"},
		{"14479", "xã Gia Vân", "Gia Vân commune"}, // became the commune of its name
		{"14434", "xã Thanh Sơn", "Thanh Sơn commune"},
		{"13438", "xã Thanh Sơn cũ (thị xã Kim Bảng)", "former Thanh Sơn commune (Kim Bảng town)"},
		{"37", "tỉnh Ninh Bình", "Ninh Bình province"},
		{"37@2025-06-30", "tỉnh Ninh Bình cũ", "former Ninh Bình province"},
	} {
		u, ok := us.Get(c.ref)
		if !ok {
			t.Fatalf("no %s", c.ref)
		}
		if got := us.Label(texts, "vi", u); got != c.vi {
			t.Errorf("%s: %q, want %q", c.ref, got, c.vi)
		}
		if got := us.Label(texts, "en", u); got != c.en {
			t.Errorf("%s: %q, want %q", c.ref, got, c.en)
		}
	}
	for _, kind := range []string{unit.Province, unit.City, unit.Town, unit.District, unit.Borough, unit.Commune, unit.Ward, unit.Township, unit.SpecialZone} {
		for _, lang := range content.Languages {
			if got := us.Label(texts, lang, unit.Unit{Name: "Tân An", Kind: kind}); !strings.Contains(got, "Tân An") || strings.Contains(got, "unit.") {
				t.Errorf("%s %s: %q", lang, kind, got)
			}
		}
	}
}

func TestCheckTellsAllFaults(t *testing.T) {
	if faults := unit.Check(content.Files("")); len(faults) > 0 {
		t.Fatal(faults)
	}
	head := "code,name,kind,parent,valid_from,valid_to\n"
	succ := "old_code,old_name,new_code,new_name,extent,changed_on\n"
	const units = `37,Tỉnh Ninh Bình,tinh,,,
1,Xã A,xa,37,,2025-06-30
2,Xã B,xa,37,2025-07-01,
3,Xã C,xa,37,2025-07-01,
`
	for _, c := range []struct {
		name, units, successors string
		want                    []string
	}{
		{"units", head + `37,Tỉnh Ninh Bình,tinh,,,
37,Tỉnh Ninh Bình,tinh,,,2020-01-01
1,Xã A,xa,37,2020-01-01,
1,Xã A,xa,37,2020-01-01,
2,Xã B,thon,37,,
3,Phường C,xa,37,,
4,Xã D,xa,,,
5,Xã E,xa,37,1/7/2025,
6,Xã F,xa,37,2025-01-01,2024-01-01
`, succ, []string{"same period (line 2)", "same period (line 4)", `unknown kind "thon"`, "does not begin with its kind", "4 has no parent", "is not a date", "ends before it begins"}},
		{"periods", head + "37,Tỉnh Ninh Bình,tinh,,,2025-06-30\n37,Tỉnh Ninh Bình,tinh,,2025-06-01,\n", succ, []string{"37 overlaps its period in line 2"}},
		{"parents", head + units + "4,Xã D,xa,99,,\n38,Tỉnh Khác,tinh,,,\n", succ + "1,Xã A,2,Xã B,whole,2025-07-01\n",
			[]string{`4: no unit "99" above it`, `nothing belongs to 38`}},
		{"no successor", head + units, succ, []string{`1@2025-06-30 "A" has ended and has no successor`}},
		{"successors", head + units, succ + `1,Xã A,9,Xã I,whole,2025-07-01
1,Xã A,2,Xã X,some,2025-07-01
1,Xã A,2,Xã B,whole,2025-08-01
7,Xã G,2,Xã B,whole,2025-07-01
1,Xã A,2,Xã B,whole,
`, []string{`no new commune 9`, `2 is "xã B", not "Xã X"`, `extent "some"`, "no old commune 1", "no old commune 7", "no day in changed_on"}},
		{"extents", head + units, succ + "1,Xã A,2,Xã B,whole,2025-07-01\n1,Xã A,3,Xã C,part,2025-07-01\n", []string{"became 1 units as a whole and 1 in part"}},
		{"one part", head + units, succ + "1,Xã A,2,Xã B,part,2025-07-01\n", []string{"became 0 units as a whole and 1 in part"}},
		{"twice", head + units, succ + "1,Xã A,2,Xã B,whole,2025-07-01\n1,Xã A,2,Xã B,whole,2025-07-01\n", []string{"1 to 2 is given twice"}},
		{"columns", "code,name\n1,Xã A\n", succ, []string{`no column "kind"`}},
		{"shape", head + "1,2\n", succ, []string{"wrong number of fields"}},
		{"empty", "", succ, []string{"EOF"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			words, err := fs.ReadFile(content.Files(""), "units/words.toml")
			if err != nil {
				t.Fatal(err)
			}
			fsys := fstest.MapFS{
				"units/units.csv":      {Data: []byte(c.units)},
				"units/successors.csv": {Data: []byte(c.successors)},
				"units/words.toml":     {Data: words},
			}
			told := unit.Check(fsys)
			var all []string
			for _, err := range told {
				all = append(all, err.Error())
			}
			for _, want := range c.want {
				if !strings.Contains(strings.Join(all, "\n"), want) {
					t.Errorf("not told: %s\n%s", want, strings.Join(all, "\n"))
				}
			}
			if _, err := unit.Load(fsys); err == nil {
				t.Error("loaded")
			}
		})
	}
	words := fstest.MapFS{"units/words.toml": {Data: []byte("[kind.thon]\nbefore = [\"thôn\"]\n[kind.xa]\nbefore = [\"-\"]\nsuffix = []\n")}}
	var all []string
	for _, err := range unit.Check(words) {
		all = append(all, err.Error())
	}
	for _, want := range []string{`unknown kind "thon"`, `"-" is no word`, "unknown key kind.xa.suffix", `no words before a name of kind "tinh"`, "open units/units.csv"} {
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("not told: %s\n%s", want, strings.Join(all, "\n"))
		}
	}
}
