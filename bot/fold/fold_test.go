package fold_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"congdanso/bot/fold"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var samples = []struct{ in, fold, tone string }{
	{"", "", ""},
	{"  Tra  cứu\tHỒ SƠ!! ", "tra cuu ho so", "tra cứu hồ sơ"},
	{"hoà", "hoa", "hoà"},
	{"hòa", "hoa", "hoà"},
	{"Thúy THUÝ", "thuy thuy", "thuý thuý"},
	{"huỷ hủy", "huy huy", "huỷ huỷ"},
	{"qúy quý gía giá", "quy quy gia gia", "quý quý giá giá"},
	{"xóa xoá", "xoa xoa", "xoá xoá"},
	{"thuở thủơ khuỷu khủyu", "thuo thuo khuyu khuyu", "thuở thuở khuỷu khuỷu"},
	{"Đường ĐỨNG", "duong dung", "đường đứng"},
	{"dừng đúng dung", "dung dung dung", "dừng đúng dung"},
	{"don't don’t", "dont dont", "dont dont"},
	{"h42.16–240612—0001", "h42 16 240612 0001", "h42 16 240612 0001"},
	{"ｆｕｌｌ　ｗｉｄｔｈ １２", "full width 12", "full width 12"},
	{"𝐛𝐨𝐥𝐝 ① 1️⃣", "bold 1 1", "bold 1 1"},
	{"a\u200bb\u202ec\ufeff", "abc", "abc"},
	{"👍🏽🙏🙏", "👍 🙏 🙏", "👍 🙏 🙏"},
	{"z̶̢a͈l̷g̸o", "zalgo", "zalgo"},
	{"a\x00b\xffc", "a b c", "a b c"},
	{"مرحبا", "مرحبا", "مرحبا"},
	{"naïve Ð", "naive d", "naive đ"},
	{"nghiã nghĩa", "nghia nghia", "nghĩa nghĩa"},
}

func TestForms(t *testing.T) {
	for _, s := range samples {
		if got := fold.Fold(s.in); got != s.fold {
			t.Errorf("Fold(%q) = %q, want %q", s.in, got, s.fold)
		}
		if got := fold.Tone(s.in); got != s.tone {
			t.Errorf("Tone(%q) = %q, want %q", s.in, got, s.tone)
		}
	}
}

// Every character there is: valid, stable, and the two forms in step.
func TestEveryCharacter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if utf8.ValidRune(r) {
			check(t, string(r))
		}
	}
}

func check(t testing.TB, s string) {
	t.Helper()
	f, tone := fold.Fold(s), fold.Tone(s)
	if !utf8.ValidString(f) || !utf8.ValidString(tone) {
		t.Fatalf("%q: not valid UTF-8: %q, %q", s, f, tone)
	}
	if again := fold.Fold(f); again != f {
		t.Fatalf("%q: Fold(Fold) = %q, want %q", s, again, f)
	}
	if again := fold.Tone(tone); again != tone {
		t.Fatalf("%q: Tone(Tone) = %q, want %q", s, again, tone)
	}
	if via := fold.Fold(tone); via != f {
		t.Fatalf("%q: Fold(Tone) = %q, want %q", s, via, f)
	}
	if via := fold.Bare(tone); via != f {
		t.Fatalf("%q: Bare(Tone) = %q, want %q", s, via, f)
	}
	if strings.Count(f, " ") != strings.Count(tone, " ") || strings.Contains(f, "  ") || strings.TrimSpace(f) != f {
		t.Fatalf("%q: words differ: %q, %q", s, f, tone)
	}
}

func TestEncodingsAgree(t *testing.T) {
	word := rapid.SampledFrom(strings.Fields("tra cứu hồ sơ Nguyễn Thuý Hòa đường nghĩa quyết khuỷu ươm yểu giếng quả xoá huỷ dừng đúng thì kỹ"))
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(word, 1, 8).Draw(t, "words"), " ")
		for _, other := range []string{norm.NFD.String(s), strings.ToUpper(s), norm.NFD.String(strings.ToUpper(s)), " " + s + "!!", strings.ReplaceAll(s, " ", "\u200b – ")} {
			if fold.Fold(other) != fold.Fold(s) || fold.Tone(other) != fold.Tone(s) {
				t.Fatalf("%q and %q: %q/%q and %q/%q", s, other, fold.Fold(s), fold.Tone(s), fold.Fold(other), fold.Tone(other))
			}
		}
	})
}

func TestSameWords(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Lưu hồ sơ", "luu ho so", true},
		{"Lưu hồ sơ", "LƯU  HÔ SƠ.", true},
		{"lưu hồ sơ", "lưu hồ sờ", true}, {"lưu hộ sơ", "lưu hồ sơ", false},
		{"dừng", "đúng", false},
		{"dừng", "dung", true},
		{"đúng", "dung", true},
		{"dữ liệu", "dử liệu", true},
		{"Hoà Bình", "Hòa Bình", true},
		{"thi", "thì", true}, // one of the two has no accents
		{"hồ sơ", "hồ sơ cũ", false},
		{"", "", false},
		{"?", "!", false},
	} {
		if got := fold.SameWords(c.a, c.b); got != c.want {
			t.Errorf("SameWords(%q, %q) = %v", c.a, c.b, got)
		}
		if got := fold.SameWords(c.b, c.a); got != c.want {
			t.Errorf("SameWords(%q, %q) = %v", c.b, c.a, got)
		}
	}
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		typed, want string
		ok          bool
	}{
		{"dung", "dừng", true}, {"dừng", "dừng", true}, {"dưng", "dừng", true},
		{"đúng", "dừng", false}, {"dụng", "dừng", false}, {"thì", "thi", false},
		{"hỏi", "hội", false}, {"dử", "dữ", true}, {"dư", "dữ", true}, {"thi", "thì", true},
		{"hồng", "hồ", false}, {"hồ", "hồng", false},
	} {
		if got := fold.Allows(c.typed, c.want); got != c.ok {
			t.Errorf("Allows(%q, %q) = %v", c.typed, c.want, got)
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range samples {
		f.Add(s.in)
	}
	f.Add(strings.Repeat("z̶̢a͈", 200))
	f.Fuzz(func(t *testing.T, s string) { check(t, s) })
}

func BenchmarkFold(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		fold.Fold("Dạ cho em hỏi hồ sơ đăng ký khai sinh của cháu đến đâu rồi ạ?")
	}
}

func BenchmarkTone(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		fold.Tone("Dạ cho em hỏi hồ sơ đăng ký khai sinh của cháu đến đâu rồi ạ?")
	}
}

func BenchmarkFoldPlain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		fold.Fold("tra cuu ho so giup toi voi")
	}
}

func BenchmarkFoldZalgo(b *testing.B) {
	s := strings.Repeat("z\u0336\u0322\u0348", 500)
	b.ReportAllocs()
	for b.Loop() {
		fold.Fold(s)
	}
}
