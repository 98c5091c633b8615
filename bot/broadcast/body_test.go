package broadcast

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"congdanso/bot"
	"congdanso/bot/push"
)

// bulletin is a definition whose text can go out.
func bulletin() Definition {
	return Definition{
		Title: "Tiêm chủng", Kind: Personal, Purpose: "health", Agency: "so", ExpiresAfter: 24 * time.Hour, Template: "bulletin",
		Body: Body{
			Vi: Text{Issuer: "Sở Y tế tỉnh Mẫu", Title: "Tiêm chủng tháng 12", Lines: []string{
				"Kính gửi {{name}},", "Lịch tiêm: https://soyte.example.vn/lich?thang=12."}},
			En: Text{Issuer: "Department of Health", Title: "Vaccinations", Lines: []string{
				"Dear {{ name }}, see (https://soyte.example.vn/en_(new))."}},
			Buttons: []Button{{Vi: "Xem lịch", En: "Schedule", URL: "https://soyte.example.vn/lich?thang=12"},
				{Vi: "Tra hồ sơ", Payload: "#dossier.lookup"}},
			Source:  Source{Number: "12/TB-SYT", Date: noon.AddDate(0, 0, -3)},
			Contact: "02290000000",
			Missing: map[string]map[string]string{"name": {"vi": "ông/bà", "en": "resident"}},
		},
	}
}

func shortForTest(url string) string {
	return map[string]string{"https://soyte.example.vn/lich?thang=12": "https://k.vn/l/abcdefg", "https://soyte.example.vn/en_(new)": "https://k.vn/l/hjkmnpq"}[url]
}

func TestCopy(t *testing.T) {
	t.Parallel()
	r := Compile(testTexts(t), bulletin(), shortForTest)
	got := r.Render([]push.Person{{Language: "vi", Name: "  Nguyễn   Văn Mẫu "}, {Language: "en"}, {Language: "fr", Name: "👻"}})
	vi := "Sở Y tế tỉnh Mẫu\nTiêm chủng tháng 12\n\nKính gửi Nguyễn Văn Mẫu,\nLịch tiêm: https://k.vn/l/abcdefg.\n\n" +
		"Theo văn bản 12/TB-SYT ngày 21/11/2026.\nLiên hệ: 02290000000\nKhông muốn nhận nữa? Nhắn \"dừng tin\"."
	if diff := cmp.Diff(vi, got[0].Message.Text); diff != "" {
		t.Error(diff)
	}
	en := "Department of Health\nVaccinations\n\nDear resident, see (https://k.vn/l/hjkmnpq).\n\n" +
		"According to document 12/TB-SYT of 21/11/2026.\nContact: 02290000000\nDo not want these messages? Send \"stop\"."
	if diff := cmp.Diff(en, got[1].Message.Text); diff != "" {
		t.Error(diff)
	}
	if want := strings.Replace(vi, "Nguyễn Văn Mẫu", "ông/bà", 1); got[2].Message.Text != want {
		t.Error(cmp.Diff(want, got[2].Message.Text))
	}
	choices := []bot.Choice{{Title: "Schedule", URL: "https://k.vn/l/abcdefg"}, {Title: "Tra hồ sơ", Payload: "#dossier.lookup"}}
	if diff := cmp.Diff(choices, got[1].Message.Choices); diff != "" {
		t.Error(diff)
	}
	params := map[string]string{"title": "Tiêm chủng tháng 12", "agency": "Sở Y tế tỉnh Mẫu", "link": "https://k.vn/l/abcdefg"}
	if diff := cmp.Diff(params, got[0].Params); diff != "" || got[0].Template != "bulletin" {
		t.Error(diff)
	}
	if p := r.Preview("vi", "Nguyễn Văn Mẫu"); !cmp.Equal(p, got[0].Message) {
		t.Error("the preview is not what a phone gets")
	}
}

func TestCopyOfACorrectionWithAPicture(t *testing.T) {
	t.Parallel()
	d := bulletin()
	d.Corrects, d.Body.ImageURL = 7, "https://soyte.example.vn/a.jpg"
	d.Body.Buttons = append(d.Body.Buttons[:1], Button{Vi: "Gọi", Phone: "842290000000"})
	m := Compile(testTexts(t), d, shortForTest).Preview("vi", "")
	if !strings.HasPrefix(m.Text, "ĐÍNH CHÍNH – Sở Y tế tỉnh Mẫu\n") || len(m.Choices) > 0 || m.ImageURL == "" ||
		!strings.Contains(m.Text, "Xem lịch: https://k.vn/l/abcdefg\nGọi: 842290000000\n") {
		t.Errorf("copy %+v", m)
	}
}

func TestWhatAnAuthorIsTold(t *testing.T) {
	t.Parallel()
	texts := testTexts(t)
	for name, c := range map[string]struct {
		change func(*Definition)
		want   string // keys of faults, warnings with "?"
	}{
		"nothing":          {func(*Definition) {}, "button_english?"},
		"no issuer":        {func(d *Definition) { d.Body.Vi.Issuer = " " }, "missing_issuer button_english?"},
		"no text":          {func(d *Definition) { d.Body.Vi.Lines = nil }, "missing_text button_english?"},
		"no source":        {func(d *Definition) { d.Body.Source = Source{} }, "missing_source_number missing_source_date button_english?"},
		"no contact":       {func(d *Definition) { d.Body.Contact = "" }, "missing_contact button_english?"},
		"no expiry":        {func(d *Definition) { d.ExpiresAfter = 0 }, "missing_expiry button_english?"},
		"no English":       {func(d *Definition) { d.Body.En = Text{} }, "no_english?"},
		"unknown field":    {func(d *Definition) { d.Body.Vi.Lines[0] = "Số {{phone}} {{name}}" }, "unknown_field button_english?"},
		"field not closed": {func(d *Definition) { d.Body.Vi.Lines[0] = "Kính gửi {{name}" }, "open_field button_english?"},
		"no substitute":    {func(d *Definition) { d.Body.Missing = nil }, "no_substitute no_substitute button_english?"},
		"field in a title": {func(d *Definition) { d.Body.Vi.Title = "{{name}} ơi" }, "field_outside_lines button_english?"},
		"two lines":        {func(d *Definition) { d.Body.Vi.Issuer = "Sở\nY tế" }, "one_line button_english?"},
		"too long":         {func(d *Definition) { d.Body.Vi.Lines[1] = strings.Repeat("a", 1900) }, "button_english? too_long"},
		"four buttons": {func(d *Definition) { d.Body.Buttons = append(d.Body.Buttons, d.Body.Buttons...) },
			"many_buttons button_english? button_english?"},
		"a long button": {func(d *Definition) { d.Body.Buttons[0].Vi = strings.Repeat("a", 101) }, "button_long button_english?"},
		"a wide button": {func(d *Definition) { d.Body.Buttons[0].Vi = strings.Repeat("a", 21) }, "button_cut? button_english?"},
		"two ways":      {func(d *Definition) { d.Body.Buttons[0].Phone = "84912345678" }, "button_ways button_english?"},
		"plain http":    {func(d *Definition) { d.Body.Buttons[0].URL = "http://a.vn" }, "button_url button_english?"},
		"at home":       {func(d *Definition) { d.Body.Buttons[0].URL = "https://127.0.0.1/a" }, "button_url button_english?"},
		"no payload":    {func(d *Definition) { d.Body.Buttons[1].Payload = "xin chào" }, "button_english? button_payload"},
		"no phone":      {func(d *Definition) { d.Body.Buttons[1] = Button{Vi: "a", En: "a", Phone: "0912345678"} }, "button_phone"},
		"no room":       {func(d *Definition) { d.Body.ImageURL = "https://a.vn/a.jpg" }, "button_english? button_no_room"},
		"a bad picture": {func(d *Definition) { d.Body.ImageURL, d.Body.Buttons = "ftp://a.vn/a.jpg", nil }, "image_url"},
		"an old page":   {func(d *Definition) { d.Body.Vi.Lines[1] = "http://soyte.example.vn/a" }, "button_english? link_http?"},
		"a bad page":    {func(d *Definition) { d.Body.Vi.Lines[1] = "https://localhost/a" }, "button_english? link"},
		"an article": {func(d *Definition) { d.Kind = Article },
			"field_in_article button_english? button_no_room article_cover"},
		"an article's target": {func(d *Definition) {
			d.Kind, d.Target, d.Body.ImageURL = Article, Target{Ages: []int{8}}, "https://a.vn/a.jpg"
			d.Body.Vi.Lines, d.Body.En, d.Body.Buttons = []string{"Chung."}, Text{}, nil
		}, "article_target"},
	} {
		d := bulletin()
		c.change(&d)
		var got []string
		for _, f := range CheckBody(texts, d, map[string]string{"vi": strings.Repeat("Nguyễn ", 5)}, nil) {
			if words := f.Words(texts, "vi"); strings.Contains(words, "broadcast.") || strings.Contains(words, "no value") {
				t.Errorf("%s: no words for %s: %q", name, f.Key, words)
			}
			if f.Warning {
				f.Key += "?"
			}
			got = append(got, f.Key)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What fits for the template may be too long for somebody: the longest name counts.
func TestLengthIsThatOfTheLongestCopy(t *testing.T) {
	t.Parallel()
	d, texts := bulletin(), testTexts(t)
	d.Body.En = Text{}
	room := bot.MaxText - units(Compile(texts, d, nil).Preview("vi", "").Text)
	d.Body.Vi.Lines = append(d.Body.Vi.Lines, strings.Repeat("x", room-1))
	if faults := CheckBody(texts, d, nil, nil); Broken(faults) {
		t.Errorf("without names: %v", faults)
	}
	if faults := CheckBody(texts, d, map[string]string{"vi": "Nguyễn Thị Mẫu"}, nil); !Broken(faults) {
		t.Error("a name that does not fit is not told")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"Nguyễn Văn Mẫu": "Nguyễn Văn Mẫu", "  an \n\t binh ": "an binh", "": "", "🎉🎉": "", "123": "",
		"Mai 🌸": "Mai 🌸", "A\u200d\u202eB\x00C": "ABC", "Z\u0335\u0321\u0322\u0311\u0301algo": "Z\u0335\u0321algo",
		strings.Repeat("a", 200):      strings.Repeat("a", 40) + "…",
		strings.Repeat("Nguyễn ", 30): strings.TrimSpace(strings.Repeat("Nguyễn ", 5)) + "…",
		strings.Repeat("a", 40):       strings.Repeat("a", 40),
		"Nguye\u0302\u0303n":          "Nguyễn", "\xff\xfeAn": "An", "An\u0301 ": "Ań",
	} {
		if got := CleanName(raw); got != want {
			t.Errorf("%q is said as %q, want %q", raw, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	f.Add("Nguyễn Văn Mẫu")
	f.Add("Z̵̡̢̛̗̘͆̀á̶lgo 👩‍👩‍👧‍👦 \u202e" + strings.Repeat("é", 200))
	f.Fuzz(func(t *testing.T, raw string) {
		name := CleanName(raw)
		if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.TrimSpace(name) != name {
			t.Fatalf("%q is said as %q", raw, name)
		}
		letters := 0
		for _, r := range name {
			if !unicode.IsMark(r) {
				letters++
			}
		}
		if letters > mostLetters+1 || units(name) > (mostLetters+1)*2*(1+mostMarks) {
			t.Fatalf("%q is said as %q, %d letters", raw, name, letters)
		}
		if again := CleanName(name); !strings.HasSuffix(name, "…") && again != name {
			t.Fatalf("%q is said as %q, and that as %q", raw, name, again)
		}
	})
}

// Whatever a name holds, it changes nothing of the copy but its own place.
func TestNamesChangeNothingElse(t *testing.T) {
	t.Parallel()
	r := Compile(testTexts(t), bulletin(), shortForTest)
	base := strings.Split(r.Preview("vi", "Đào").Text, "Đào")
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"{{name}}", "https://a.vn", "\n\n", "ông/bà"})).Draw(t, "name")
		text := r.Preview("vi", name).Text
		said := CleanName(name)
		if said == "" {
			said = "ông/bà"
		}
		if want := base[0] + said + base[1]; text != want {
			t.Fatalf("%q", text)
		}
	})
}

func FuzzRender(f *testing.F) {
	f.Add("Kính gửi {{name}}, xem https://a.vn/(b).", "An")
	f.Add("{{", "{{name}}")
	f.Add("http://\xff{{ name }}{{name}}", "\u0301")
	texts := testTexts(f)
	f.Fuzz(func(t *testing.T, line, name string) {
		d := bulletin()
		d.Body.Vi.Lines = strings.Split(line, "\n")
		CheckBody(texts, d, map[string]string{"vi": CleanName(name)}, nil)
		m := Compile(texts, d, nil).Preview("vi", name)
		if !strings.HasPrefix(m.Text, "Sở Y tế tỉnh Mẫu\n") || !strings.HasSuffix(m.Text, "\"dừng tin\".") {
			t.Fatalf("%q", m.Text)
		}
		if _, err := json.Marshal(compilePage(texts, d, nil)); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	r := Compile(testTexts(b), bulletin(), shortForTest)
	people := make([]push.Person, 1000)
	for i := range people {
		people[i] = push.Person{Language: "vi", Name: "Nguyễn Thị Ngọc Mẫu"}
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Render(people)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "copies/s")
}

func TestPage(t *testing.T) {
	t.Parallel()
	d := bulletin()
	d.Kind, d.Body.ImageURL, d.Body.Buttons = Article, "https://a.vn/a.jpg", d.Body.Buttons[:1]
	d.Body.Vi.Lines = []string{"Dưới 5 tuổi & <mẹ> đi cùng, xem https://soyte.example.vn/lich?thang=12.", strings.Repeat("dài ", 100)}
	p := compilePage(testTexts(t), d, shortForTest)
	if p.Title != "Tiêm chủng tháng 12" || p.Author != "Sở Y tế tỉnh Mẫu" || p.Show || units(p.Description) > mostDescription ||
		!strings.HasSuffix(p.Description, "…") {
		t.Errorf("page %+v", p)
	}
	want := `<p>Dưới 5 tuổi &amp; &lt;mẹ&gt; đi cùng, xem <a href="https://k.vn/l/abcdefg">https://k.vn/l/abcdefg</a>.</p>`
	if len(p.Blocks) != 3 || !strings.HasPrefix(p.Blocks[0], want) || !strings.HasPrefix(p.Blocks[1], "<p>Vaccinations</p>") ||
		!strings.HasSuffix(p.Blocks[2], "bỏ quan tâm kênh.</p>") || !strings.Contains(p.Blocks[2], `<p>Xem lịch: <a href="https://k.vn/l/abcdefg">`) {
		t.Errorf("blocks %q", p.Blocks)
	}
}
