package content_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"congdanso/bot"
	"congdanso/content"
	"congdanso/flows"
)

var zone = time.FixedZone("Asia/Ho_Chi_Minh", 7*3600)

func load(t *testing.T, fsys fs.FS, opts ...content.Option) *content.Library {
	t.Helper()
	l, err := content.Load(fsys, zone, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// over is the embedded content with some files replaced.
func over(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	embedded := content.Files("")
	err := fs.WalkDir(embedded, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(embedded, name)
		m[name] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		panic(err)
	}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// changed is an embedded file with old replaced by new, once.
func changed(t *testing.T, name, old, new string) map[string]string {
	t.Helper()
	raw, err := fs.ReadFile(content.Files(""), name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	return map[string]string{name: strings.Replace(string(raw), old, new, 1)}
}

func all(l *content.Library) []bot.Flow { return flows.All(flows.Deps{Content: l}) }

func TestEmbeddedContentHasNoProblems(t *testing.T) {
	for name, opts := range map[string][]content.Option{
		"bare":   nil,
		"live":   {content.WithPublicURL("https://congdanso.example.vn/")},
		"sample": {content.WithSample(), content.WithPublicURL("http://localhost:8080")},
	} {
		l := load(t, content.Files(""), opts...)
		for _, p := range content.Check(l, all(l)) {
			t.Errorf("%s: %v", name, p)
		}
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"missing key":      {changed(t, "locales/stop.en.toml", "done =", "doen ="), "en: stop.done: missing"},
		"extra key":        {changed(t, "locales/stop.en.toml", "done =", "doen = \"x\"\ndone ="), "vi: stop.doen: missing"},
		"whole file empty": {map[string]string{"locales/stop.vi.toml": ""}, "vi: stop.done: missing"},
		"template": {changed(t, "locales/dossier.vi.toml", "{{if .Old}}hẹn trả mới", "{{if .Old}hẹn trả mới"),
			"vi: dossier.head.received: template:"},
		"unfilled name": {changed(t, "locales/dossier.vi.toml", "Cần nộp: {{.Amount}}", "Cần nộp: {{.Total}}"),
			"vi: dossier.head.sum: nothing fills {{.Total}}"},
		"long title": {changed(t, "locales/menu.vi.toml", "Hồ sơ của tôi", "Danh sách hồ sơ tôi đang theo dõi"),
			"vi: menu.button.mine: button \"Danh sách hồ sơ tôi đang theo dõi\" has 33 characters; phones show 20"},
		"long text": {changed(t, "locales/stop.vi.toml", "✅", strings.Repeat("dài ", 600)), "characters; Zalo takes 2000"},
		"rather long text": {changed(t, "locales/stop.vi.toml", "✅", strings.Repeat("dài ", 140)),
			"warning: "},
		"long form": {changed(t, "locales/human.vi.toml", "Để cán bộ gọi lại\"", strings.Repeat("dài ", 30)+"\""),
			"vi: human.form.title: 119 characters; Zalo's form takes 100"},
		"unknown fact": {changed(t, "locales/menu.vi.toml", "‹hotline›", "‹hotlien›"), "vi: menu.lost_second: unknown fact ‹hotlien›"},
		"broken menu":  {map[string]string{"menus/main.toml": "[[item]]\nbutton = \"menu.button.nothing\"\npayload = \"dossier.ask\"\n"}, `no button "menu.button.nothing"`},
		"menu payload": {changed(t, "menus/main.toml", "#dossier.ask", "dossier.ask"), `payload "dossier.ask" is not #flow.action`},
		"unknown flow": {changed(t, "menus/main.toml", "#dossier.ask", "#contest.enter"), `payload "#contest.enter": no flow "contest"`},
		"unknown action": {changed(t, "menus/main.toml", "#dossier.ask", "#dossier.fly"),
			`payload "#dossier.fly": flow dossier has no action "fly"`},
		"six items": {changed(t, "menus/main.toml", "[[item]]",
			"[[item]]\nbutton = \"menu.button.human\"\npayload = \"#human.ask\"\n[[item]]"), "6 items; Zalo shows 5 buttons"},
		"empty menu":      {map[string]string{"menus/main.toml": ""}, "menus/main.toml: empty"},
		"no operator":     {changed(t, "province.toml", `operator = "Sở Khoa học và Công nghệ"`, `operator = ""`), "vi: operator: must be given"},
		"template fact":   {changed(t, "province.toml", `hotline = "" `, `hotline = "{{.X}}" `), "vi: hotline: must be plain words"},
		"bad prefix":      {changed(t, "province.toml", `"H42", `, `"42", `), "42: a prefix is a letter and two digits"},
		"bad status":      {changed(t, "province.toml", `"Đã có kết quả" = 9`, `"Đã có kết quả" = 99`), "national statuses are 1 to 10, not 99"},
		"other language":  {map[string]string{"locales/menu.fr.toml": "[menu]\nhello = \"bonjour\"\n"}, "fr: a language the channel does not speak"},
		"key in two":      {map[string]string{"locales/more.vi.toml": "[stop]\ndone = \"x\"\n"}, "also stands in locales/more.vi.toml"},
		"two names":       {changed(t, "topics.toml", `key = "power"`, `key = "weather"`), "topics.toml: weather: stands twice"},
		"odd key":         {changed(t, "topics.toml", `key = "power"`, `key = "Power cuts"`), "topics.toml: Power cuts: a key is small letters"},
		"nameless topic":  {changed(t, "topics.toml", `key = "power"`, `key = "storms"`), `topics.toml: vi: storms: no text "notices.topic.storms.name"`},
		"no topics":       {map[string]string{"topics.toml": ""}, "topics.toml: 0 topics; one message lists 1 to 12"},
		"long topic":      {changed(t, "locales/notices.vi.toml", `name = "Y tế"`, `name = "Y tế và chăm sóc sức khoẻ"`), "has 25 characters; phones show 20"},
		"word of two":     {changed(t, "locales/notices.vi.toml", `words = "sức khoẻ,`, `words = "sức khoẻ, Bão,`), `topics.toml: vi: health: "bão" also means weather`},
		"button in lines": {changed(t, "locales/menu.vi.toml", "mine = \"Hồ sơ của tôi\"", "mine = \"Hồ sơ\\ncủa tôi\""), "a button is one line"},
	} {
		l := load(t, over(c.files))
		problems := content.Check(l, all(l))
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.String(), c.want)
		}
		if !found {
			t.Errorf("%s: want a problem with %q, got %v", name, c.want, problems)
		}
		if fatal := len(content.Errors(problems)) > 0; fatal == strings.HasPrefix(c.want, "warning") {
			t.Errorf("%s: stops the start: %v", name, fatal)
		}
	}
}

func TestLoadRefusesWhatCannotBeRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"toml":     {"locales/stop.vi.toml": "[stop\n"},
		"menu":     {"menus/main.toml": "[[item]\n"},
		"province": {"province.toml": "= 3"},
		"misspelt": {"province.toml": "[dossier]\nown_prefixs = []\n"},
		"topics":   {"topics.toml": "[[topic]]\nkey = \"weather\"\nplace = true\n"},
	} {
		if _, err := content.Load(over(files), zone); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	if _, err := content.Load(fstest.MapFS{}, zone); err == nil {
		t.Error("nothing at all: loaded")
	}
}

func TestLinesWithoutFactsAreLeftOut(t *testing.T) {
	bare := load(t, content.Files(""))
	if got := bare.Text("vi", "menu.lost_second", nil); got != "Chưa hiểu ý ông/bà; mời ông/bà chọn một việc bên dưới." {
		t.Errorf("without a hotline: %q", got)
	}
	if got := bare.Text("vi", "menu.greeting", nil); strings.Contains(got, "Kênh lưu gì") {
		t.Errorf("without a public address: %q", got)
	}
	given := load(t, over(changed(t, "province.toml", `hotline = "" `, `hotline = "0229 000 000" `)),
		content.WithPublicURL("https://congdanso.example.vn/"))
	if got := given.Text("vi", "menu.lost_second", nil); !strings.HasSuffix(got, "\nCó thể gọi tổng đài 0229 000 000.") {
		t.Errorf("with a hotline but no hours: %q", got)
	}
	if got := given.Text("vi", "menu.greeting", nil); !strings.Contains(got, "để làm gì: https://congdanso.example.vn/privacy") {
		t.Errorf("with a public address: %q", got)
	}
	sample := load(t, content.Files(""), content.WithSample())
	if got := sample.Text("vi", "menu.lost_second", nil); !strings.Contains(got, "0000 000 000 (số mẫu)") || !sample.Province().Sample {
		t.Errorf("sample: %q", got)
	}
	if bare.Province().Sample {
		t.Error("the embedded pack takes itself for a sample")
	}
}

// A whole message can lean on a fact; then nothing is said, not its key.
func TestMessageOfOneFactOnly(t *testing.T) {
	l := load(t, over(map[string]string{
		"locales/x.vi.toml": "[x]\nonly = \"Gọi ‹hotline›.\"\n", "locales/x.en.toml": "[x]\nonly = \"Call ‹hotline›.\"\n",
	}))
	for _, lang := range content.Languages {
		if got := l.Text(lang, "x.only", nil); got != "" {
			t.Errorf("%s: %q", lang, got)
		}
	}
	if got := l.Text("vi", "x.missing", nil); got != "x.missing" {
		t.Errorf("missing key: %q", got)
	}
}

// What an officer wrote is never taken for a fact, a template or an empty line.
func TestDataIsNotContent(t *testing.T) {
	l := load(t, content.Files(""))
	got := l.Text("vi", "dossier.words.said", map[string]any{"By": "Thử", "When": "", "Words": "Bổ sung ‹hotline› {{.By}}", "Dot": true})
	if want := `Cán bộ Thử ghi: "Bổ sung ‹hotline› {{.By}}".`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlurals(t *testing.T) {
	l := load(t, content.Files(""))
	for count, want := range map[int]string{
		1: "This does not match the number on the dossier. 1 try left, then a wait of 1 hour.",
		4: "This does not match the number on the dossier. 4 tries left, then a wait of 1 hour.",
	} {
		if got := l.Text("en", "dossier.factor.wrong", map[string]any{"Count": count}); got != want {
			t.Errorf("%d: %q", count, got)
		}
	}
	if got := l.Text("vi", "dossier.factor.wrong", map[string]any{"Count": 1}); !strings.Contains(got, "1 lần") {
		t.Errorf("vi: %q", got)
	}
	if got := l.Text("fr", "dossier.factor.wrong", map[string]any{"Count": 4}); !strings.Contains(got, "4 lần") {
		t.Errorf("a language we do not speak: %q", got)
	}
}

func TestTimesAsPeopleSayThem(t *testing.T) {
	l := load(t, content.Files(""))
	due := time.Date(2024, 6, 17, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		lang string
		at   time.Time
		now  time.Time
		want string
	}{
		{"vi", due, due.Add(-72 * time.Hour), "thứ Hai 17/06/2024, 17:00"},
		{"en", due, due.Add(-72 * time.Hour), "Monday 17/06/2024, 17:00"},
		{"vi", due, due.Add(-9 * time.Hour), "17:00 hôm nay"},
		{"en", due, due.Add(-9 * time.Hour), "17:00 today"},
		{"vi", due, due.Add(-17*time.Hour - time.Second), "thứ Hai 17/06/2024, 17:00"}, // still Sunday in Vietnam
		{"vi", due.AddDate(-1, 0, 0), due, "thứ Bảy 17/06/2023, 17:00"},
		{"vi", due.Add(-24 * time.Hour), due, "Chủ nhật 16/06/2024, 17:00"},
	} {
		if got := l.Moment(c.lang, c.at, c.now); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.lang, c.at, got, c.want)
		}
	}
	if got := l.Day("en", due.Add(8*time.Hour)); got != "Tuesday 18/06/2024" {
		t.Errorf("a day begins in Vietnam: %q", got)
	}
}

func TestProvincePack(t *testing.T) {
	p := load(t, content.Files("")).Province()
	for name, want := range map[string]int{"Đang xử lý": 4, "Chờ bổ sung giấy tờ": 5, "Đã trả kết quả": 10} {
		if got := p.Dossier.Statuses[name]; got != want {
			t.Errorf("status %q: %d, want %d", name, got, want)
		}
	}
	if got := p.Issuer("vi", "G01"); got != "Bộ Công an" {
		t.Errorf("G01: %q", got)
	}
	if got := p.Issuer("vi", "G09"); got != "" {
		t.Errorf("G09 is not attested well enough to be named: %q", got)
	}
	if got := p.Issuer("en", "G22"); got != "the National Public Service Portal" {
		t.Errorf("G22: %q", got)
	}
	for _, fact := range []string{"hotline", "reception", "duty_hours", "site"} {
		if p.Facts["vi"][fact] != "" || p.Facts["en"][fact] != "" {
			t.Errorf("nobody has told the %s, yet it is there", fact)
		}
	}
}

func BenchmarkText(b *testing.B) {
	l, err := content.Load(content.Files(""), zone)
	if err != nil {
		b.Fatal(err)
	}
	data := map[string]any{"Due": "thứ Hai 17/06/2024, 17:00", "Old": "", "Doubtful": false, "Words": "", "Returned": ""}
	b.ReportAllocs()
	for b.Loop() {
		l.Text("vi", "dossier.head.processing", data)
	}
}
