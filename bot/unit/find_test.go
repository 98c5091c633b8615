package unit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"congdanso/bot/fold"
	"congdanso/bot/unit"
)

// said is a match as a table writes it: "phường Hoa Lư > 14329"; many communes
// are told by their number.
func said(us *unit.Units, m unit.Match) string {
	today := strings.Join(codes(m.Today), " ")
	if len(m.Today) > 3 {
		today = fmt.Sprint(len(m.Today))
	}
	mark := "?"
	if m.Whole {
		mark = ""
	}
	return us.Label(texts, "vi", m.Unit) + " > " + today + mark
}

func TestFind(t *testing.T) {
	us := load(t)
	hoaLu := []string{"phường Hoa Lư > 14329", "thành phố Hoa Lư > 4?", "huyện Hoa Lư > 14329 14359 14533?"}
	for _, c := range []struct {
		text string
		want []string
	}{
		{"phuong hoa lu", hoaLu[:1]},
		{"Phường Hoa Lư", hoaLu[:1]},
		{"PHƯỜNG HOA LƯ!!!", hoaLu[:1]},
		{"Hoa Lư", hoaLu},
		{"hoa lu", hoaLu},
		{"hoalu", hoaLu},
		{"f hoa lu", hoaLu[:1]},
		{"p.hoa lư", hoaLu[:1]},
		{"Hoa Lư mới", hoaLu[:1]},
		{"hoa lu cu", hoaLu[1:]},
		{"huyện Hoa Lư", hoaLu[2:]},
		{"h. hoa lu", hoaLu[2:]},
		{"tp hoa lư", hoaLu[1:2]},
		{"Hoa Lu ward", hoaLu[:1]},
		{"I live in Hoa Lu ward", hoaLu[:1]},
		{"xã hoa lư", hoaLu[:1]}, // there is none; they mean a commune
		{"Hoa Lư, Ninh Bình", hoaLu},
		{"tôi ở phường hoa lư ạ", hoaLu[:1]},
		{"tây hoa lư", []string{"phường Tây Hoa Lư > 14533"}},

		{"xã Gia Tân", []string{"xã Gia Tân > 14488 14533?"}},
		{"gia tan", []string{"xã Gia Tân > 14488 14533?"}},
		{"thôn 5, Gia Tân, Gia Viễn", []string{"xã Gia Tân > 14488 14533?"}},
		{"xã Gia Tân, huyện Gia Viễn, tỉnh Ninh Bình", []string{"xã Gia Tân > 14488 14533?"}},
		{"huyện Gia Viễn, xã Gia Tân", []string{"xã Gia Tân > 14488 14533?"}},
		{"Hoà Mạc", []string{"phường Hòa Mạc > 13324 13330?"}},

		{"tt me", []string{"thị trấn Me > 14464"}},
		{"TT. Me", []string{"thị trấn Me > 14464"}},
		{"Me", []string{"thị trấn Me > 14464"}},
		{"Me, Gia Viễn", []string{"thị trấn Me > 14464"}},
		{"thị trấn Cồn", []string{"thị trấn Cồn > 14218"}},
		{"cồn", []string{"thị trấn Cồn > 14218"}},
		{"p. Quế", []string{"phường Quế > 13384"}},
		{"Vân Giang", []string{"phường Vân Giang > 14329"}},
		{"số 12 đường Trần Hưng Đạo, phường Vân Giang, TP Ninh Bình", []string{"phường Vân Giang > 14329"}},
		{"p. Đông Thành cũ", []string{"phường Đông Thành > 14329"}},
		{"p.dong thanh", []string{"phường Đông Thành > 14329"}},
		{"thiên tôn", []string{"thị trấn Thiên Tôn > 14329"}},
		{"tt yên hưng", []string{"xã Yên Hưng > 14701 14743?"}},

		{"nho quan", []string{"xã Nho Quan > 14428", "huyện Nho Quan > 10?"}},
		{"huyện nho quan", []string{"huyện Nho Quan > 10?"}},
		{"thị trấn nho quan", []string{"thị trấn Nho Quan > 14428"}},
		{"tp ninh binh", []string{"thành phố Ninh Bình > 14329 14359 14566?"}},
		{"t.p Ninh Bình", []string{"thành phố Ninh Bình > 14329 14359 14566?"}},
		{"thị xã ninh bình", []string{"thành phố Ninh Bình > 14329 14359 14566?"}},
		{"Ninh Bình", []string{"tỉnh Ninh Bình > 129?", "thành phố Ninh Bình > 14329 14359 14566?", "tỉnh Ninh Bình cũ > 39?"}},
		{"tỉnh ninh bình cũ", []string{"tỉnh Ninh Bình cũ > 39?"}},
		{"Hà Nam", []string{"phường Hà Nam > 13366", "tỉnh Hà Nam > 33?"}},
		{"tỉnh Hà Nam", []string{"tỉnh Hà Nam > 33?"}},
		{"Nam Định", []string{"phường Nam Định > 13669", "thành phố Nam Định > 8?", "tỉnh Nam Định > 57?"}},
		{"thành phố nam định", []string{"thành phố Nam Định > 8?"}},
		{"Phủ Lý", []string{"phường Phủ Lý > 13285", "thành phố Phủ Lý > 5?"}},
		{"phủ lí", []string{"phường Phủ Lý > 13285", "thành phố Phủ Lý > 5?"}},
		{"tam diep", []string{"phường Tam Điệp > 14362", "thành phố Tam Điệp > 4?"}},
		{"huyện Kim Bảng", []string{"thị xã Kim Bảng > 6?"}},

		{"Nguyễn Úy", []string{"phường Nguyễn Uý > 13396"}},
		{"nguyễn uý", []string{"phường Nguyễn Uý > 13396"}},
		{"giao thủy", []string{"xã Giao Thuỷ > 14167", "huyện Giao Thủy > 7?"}},
		{"Ninh Hoà", []string{"xã Ninh Hòa > 14533"}},
		{norm.NFD.String("Đại Hoàng"), []string{"xã Đại Hoàng > 14500"}},

		{"Thanh Sơn", []string{"xã Thanh Sơn > 14434", "xã Thanh Sơn cũ (thị xã Kim Bảng) > 13435"}},
		{"thanh son kim bang", []string{"xã Thanh Sơn cũ (thị xã Kim Bảng) > 13435"}},
		{"Thanh Sơn, Nho Quan", []string{"xã Thanh Sơn > 14434"}},
		{"Quang Trung", []string{"phường Quang Trung cũ (thành phố Phủ Lý) > 13285 13366?", "phường Quang Trung cũ (thành phố Nam Định) > 13669", "xã Quang Trung > 13753"}},
		{"phường Quang Trung, tp Nam Định", []string{"phường Quang Trung cũ (thành phố Nam Định) > 13669"}},

		{"quynh luuu", []string{"xã Quỳnh Lưu > 14452"}},
		{"xã gia tann huyện gia viễn", []string{"xã Gia Tân > 14488 14533?"}},
		{"phuong tam ciep", []string{"phường Tam Điệp > 14362"}},
		{"phtá diệm", []string{"xã Phát Diệm > 14620"}},
		{"phatdiem", []string{"xã Phát Diệm > 14620"}},

		{"Hà Nội", nil},
		{"", nil},
		{"?", nil},
		{"con muốn hỏi", nil},
		{"cho tôi hỏi hồ sơ", nil},
		{"bình an nhé mọi người", nil},
		{"t làm đơn rồi", nil},
		{"xã", nil},
		{"12345", nil},
	} {
		var got []string
		for _, m := range us.Find(c.text, now) {
			got = append(got, said(us, m))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q:\n%s", c.text, diff)
		}
	}
}

// Every commune of today is found first by its own name, however written.
func TestEveryCommuneIsFound(t *testing.T) {
	us := load(t)
	for _, u := range us.Communes(now) {
		label := us.Label(texts, "vi", u)
		for _, text := range []string{u.Name, fold.Fold(u.Name), strings.ToUpper(u.Name), norm.NFD.String(u.Name),
			label, fold.Fold(label), label + ", tỉnh Ninh Bình", us.Label(texts, "en", u), "em ở " + label} {
			got := us.Find(text, now)
			if !slices.ContainsFunc(got, func(m unit.Match) bool { return m.Unit == u && m.Whole }) {
				t.Errorf("%q does not find %s: %v", text, label, got)
				continue
			}
			if text == fold.Fold(u.Name) {
				continue // several names may be one without their accents
			}
			if got[0].Unit != u {
				t.Errorf("%q finds %s before %s", text, said(us, got[0]), label)
			}
		}
	}
}

// Every row of the successors is found, with its district, and leads to the
// communes that follow from the table.
func TestEveryOldCommuneLeadsOn(t *testing.T) {
	us := load(t)
	rows := table(t, "units/successors.csv")
	type old struct{ code, on string }
	became := map[old][]string{}
	for _, r := range rows {
		o := old{r["old_code"], r["changed_on"]}
		became[o] = append(became[o], r["new_code"])
	}
	var follow func(old) []string
	follow = func(o old) (list []string) {
		for _, code := range became[o] {
			if o.on == "2025-07-01" {
				list = append(list, code)
			} else {
				list = append(list, follow(old{code, "2025-07-01"})...)
			}
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	for _, r := range rows {
		want := follow(old{r["old_code"], r["changed_on"]})
		address := r["old_name"] + ", " + r["old_district"]
		for _, text := range []string{address, address + ", " + r["old_province"], fold.Fold(address), r["old_name"]} {
			ok := slices.ContainsFunc(us.Find(text, now), func(m unit.Match) bool {
				return slices.Equal(codes(m.Today), want) && m.Whole == (len(want) == 1)
			})
			if !ok {
				t.Errorf("%q does not lead to %v: %v", text, want, us.Find(text, now))
			}
		}
	}
	asked := 0
	for o := range became {
		if m := follow(o); len(m) > 1 {
			asked++
		}
	}
	if asked != 7 { // six that were split in 2025, and Yên Hưng
		t.Errorf("%d communes are asked about", asked)
	}
}

func FuzzFind(f *testing.F) {
	us := load(f)
	for _, s := range []string{"phường Hoa Lư", "xã gia tann huyện gia viễn", "tp. ninh binh cu", "\xff\xfe", "x x x x", "p.p.p.hoa", "🙂 hoa lư 12",
		strings.Repeat("xã gia tânn ", 200), strings.Repeat("̂", 500), "hoa lư ward ward cũ cũ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := us.Find(s, now)
		if len(got) > 10 {
			t.Errorf("%d matches", len(got))
		}
		for _, m := range got {
			if len(m.Today) == 0 || m.Whole != (len(m.Today) == 1) || !utf8.ValidString(m.Unit.Name) {
				t.Errorf("%+v", m)
			}
		}
		if diff := cmp.Diff(got, us.Find(s, now)); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	us := load(b)
	for _, text := range []string{"phường Hoa Lư", "xã Gia Tân, huyện Gia Viễn, tỉnh Ninh Bình", "quynh luuu", "cho toi hoi ho so cua toi da xong chua", strings.Repeat("xa gia tann ", 40)} {
		b.Run(text[:min(len(text), 20)], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				us.Find(text, now)
			}
		})
	}
}
