package understand_test

import (
	"encoding/csv"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"congdanso/bot"
	"congdanso/bot/fold"
	"congdanso/bot/understand"
	"congdanso/content"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var loaded = sync.OnceValues(func() (*understand.Understander, error) {
	return understand.New(content.Files(""))
})

func load(t testing.TB) *understand.Understander {
	t.Helper()
	u, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

type sentence struct {
	text   string
	intent bot.Intent
}

func sentences(t testing.TB, names ...string) (all []sentence) {
	t.Helper()
	for _, name := range names {
		f, err := os.Open("testdata/" + name + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(f).ReadAll()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows[1:] {
			all = append(all, sentence{r[0], bot.Intent(r[1])})
		}
	}
	return all
}

// acting are the intents that stop or erase something.
var acting = []bot.Intent{bot.IntentStop, bot.IntentErase, bot.IntentWithdraw}

func acts(i bot.Intent) bool { return slices.Contains(acting, i) }

// How much of each file has to be right. Nothing is ever taken for an intent
// that acts when it is not that intent.
func TestSentences(t *testing.T) {
	for _, f := range []struct {
		name string
		want float64
	}{{"utterances", 0.98}, {"dev", 0.98}, {"heldout", 0.90}} {
		t.Run(f.name, func(t *testing.T) {
			u, all, right := load(t), sentences(t, f.name), 0
			for _, s := range all {
				got := u.Understand(s.text)
				if got.Intent == s.intent {
					right++
				}
				if acts(got.Intent) && got.Intent != s.intent {
					t.Errorf("%q acts: %s instead of %s", s.text, got.Intent, s.intent)
				}
				checkSound(t, s.text, got)
			}
			share := float64(right) / float64(len(all))
			t.Logf("%d of %d right (%.1f %%)", right, len(all), 100*share)
			if share < f.want {
				t.Errorf("%.1f %% right, want at least %.0f %%", 100*share, 100*f.want)
			}
		})
	}
}

// checkSound checks what holds of every understanding.
func checkSound(t testing.TB, text string, u bot.Understanding) {
	t.Helper()
	if (u.Intent == bot.IntentAsk) != (len(u.Between) >= 2) {
		t.Errorf("%q: %s between %v", text, u.Intent, u.Between)
	}
	for i, b := range u.Between {
		if b == bot.IntentAsk || b == bot.IntentNone || slices.Contains(u.Between[:i], b) {
			t.Errorf("%q: asks between %v", text, u.Between)
		}
	}
	if u.Intent == "" || u.Sure && (u.Intent == bot.IntentNone || u.Intent == bot.IntentAsk) {
		t.Errorf("%q: %+v", text, u)
	}
}

// What a person means does not depend on how the phone encodes it.
func TestEncodingsAgree(t *testing.T) {
	u := load(t)
	for _, s := range sentences(t, "utterances", "dev", "heldout") {
		want := u.Understand(s.text)
		for _, other := range []string{
			norm.NFD.String(s.text), strings.ToUpper(s.text), "  " + s.text + " !!!", fold.Tone(s.text),
			strings.ReplaceAll(s.text, " ", " \u200b "), "“" + s.text + "”…",
		} {
			if got := u.Understand(other); got.Intent != want.Intent || got.Sure != want.Sure {
				t.Errorf("%q is %+v, but %q is %+v", s.text, want, other, got)
			}
		}
	}
}

// Losing its accents never makes a sentence act, except into a fixed phrase of
// the channel, and seldom changes what it is taken for.
func TestWithoutAccents(t *testing.T) {
	u, same, n := load(t), 0, 0
	for _, s := range sentences(t, "utterances", "dev", "heldout") {
		plain := fold.Fold(s.text)
		if plain == fold.Tone(s.text) {
			continue
		}
		with, without := u.Understand(s.text), u.Understand(plain)
		n++
		if with.Intent == without.Intent {
			same++
		}
		if acts(without.Intent) && !acts(with.Intent) && !without.Sure {
			t.Errorf("%q is %s, but %q is %s", s.text, with.Intent, plain, without.Intent)
		}
	}
	t.Logf("%d of %d stay the same", same, n)
	if float64(same) < 0.93*float64(n) {
		t.Errorf("only %d of %d sentences are the same without accents", same, n)
	}
}

func TestSure(t *testing.T) {
	u := load(t)
	for _, c := range []struct {
		text string
		want bot.Understanding
	}{
		{"dừng tin", bot.Understanding{Intent: bot.IntentStop, Sure: true}},
		{"Dung tin.", bot.Understanding{Intent: bot.IntentStop, Sure: true}},
		{"DỪNG NHẬN TIN", bot.Understanding{Intent: bot.IntentStop, Sure: true}},
		{"dừng nhan tin", bot.Understanding{Intent: bot.IntentStop, Sure: true}},
		{"Stop!", bot.Understanding{Intent: bot.IntentStop, Sure: true}},
		{"về đầu", bot.Understanding{Intent: bot.IntentMenu, Sure: true}},
		{"ve dau", bot.Understanding{Intent: bot.IntentMenu, Sure: true}},
		{"dừng", bot.Understanding{Intent: bot.IntentStop}},
		{"thi", bot.Understanding{Intent: bot.IntentContest}},
		{"huỷ", bot.Understanding{Intent: bot.IntentCancel}},
		{"hủy", bot.Understanding{Intent: bot.IntentCancel}},
		{"cho tôi dừng nhận tin", bot.Understanding{Intent: bot.IntentStop}},
	} {
		if got := u.Understand(c.text); got.Intent != c.want.Intent || got.Sure != c.want.Sure {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

// What only looks like stopping, erasing or withdrawing.
func TestNeverActs(t *testing.T) {
	u := load(t)
	for _, text := range strings.Split(strings.TrimSpace(`
đúng tin nhắn
dung tin nhan
đừng tin
không tin nữa
không được tin người lạ
không nhận được tin nhắn nào
sao không gửi tin nữa
tại sao dừng thông báo
ai tắt thông báo của tôi vậy
đừng dừng gửi tin
đừng tắt thông báo
không muốn dừng nhận tin
nó không nhận tin nhắn nữa
mẹ tôi không muốn nhận tin nữa
đừng gửi tiền nữa
đừng gửi mã otp
đừng nhắn cho nó nữa
đừng làm phiền hàng xóm
đừng báo công an
dừng nhận hồ sơ từ bao giờ
phường không nhận hồ sơ
không nhận lương
dừng xe
dung xe o dau
xe dừng rồi
ngừng thuốc
tạm ngừng kinh doanh
tắt thông báo facebook
tắt máy đi
bỏ thuốc lá
huỷ vé
Huy
Dung
tất cả thông báo
tat ca thong bao
bố đăng ký nhận tin
đừng xoá dữ liệu của tôi
dung xoa du lieu
không xoá thông tin
dữ liệu bị xoá mất
xoá dữ liệu điện thoại
xoá tài khoản facebook
xoá tài khoản ngân hàng
lỡ xoá dữ liệu rồi
xoá nốt ruồi
xoá thông tin chồng cũ trong sổ hộ khẩu
xoá dữ liệu trong thẻ nhớ máy ảnh
ai xoá tài khoản của tôi
quên tôi rồi à
xin đừng quên tôi
quên em đi anh
rút đơn ly hôn vì chồng không đồng ý
bố mẹ không đồng ý nữa
không đồng ý với quyết định thu hồi đất
rút tiền
huỷ hợp đồng
đồng ý
không đồng ý
tôi đồng ý huỷ
dừng
ngừng
`), "\n") {
		if text == "dừng" || text == "ngừng" {
			if got := u.Understand(text); got.Intent != bot.IntentStop {
				t.Errorf("%q: %+v, want stop", text, got)
			}
			continue
		}
		if got := u.Understand(text); acts(got.Intent) {
			t.Errorf("%q acts: %s", text, got.Intent)
		}
	}
}

// How people type: slips, words run together, Telex left undecoded.
func TestSlips(t *testing.T) {
	u := load(t)
	for text, want := range map[string]bot.Intent{
		"tracuu hoso": bot.IntentLookup, "tra cuu ho soo": bot.IntentLookup, "tra cuus hoof sow": bot.IntentLookup,
		"trac uu ho so": bot.IntentLookup, "kieemr tra hoof sow": bot.IntentLookup, "tra cưu hô sơ": bot.IntentLookup,
		"thogn bao": bot.IntentNotices, "thoong baos": bot.IntentNotices, "thôgn báo": bot.IntentNotices,
		"xinchao": bot.IntentGreet, "alooooo": bot.IntentGreet, "camon nhe": bot.IntentThanks, "okkkkk": bot.IntentThanks,
		"englsh": bot.IntentEnglish, "cancle": bot.IntentCancel, "mneu": bot.IntentMenu, "cuoc tih": bot.IntentContest,
		"sem hồ xơ": bot.IntentLookup, "dử liệu của tôi": bot.IntentData,
		"xóa dử liệu của tôi": bot.IntentErase, "ddungwf nhawns tin nuwax": bot.IntentStop,
	} {
		got := u.Understand(text)
		if got.Intent != want {
			t.Errorf("%q: %+v, want %s", text, got, want)
		}
	}
}

func TestBadInput(t *testing.T) {
	u := load(t)
	for name, text := range map[string]string{
		"empty": "", "spaces": " \t\n", "punctuation": "???!!", "nul": "\x00\x00", "broken": "\xff\xfe\xc3",
		"emoji": "🤷‍♀️🤷‍♀️", "rtl": "مرحبا كيف حالك", "hebrew": "שלום", "zero width": "\u200b\u200d\ufeff",
		"zalgo": strings.Repeat("z̶̢a͈l̷g̸o ", 150), "one word": strings.Repeat("x", 2000), "marks": strings.Repeat("\u0301", 2000),
		"digits": strings.Repeat("1234567890", 200), "chinese": strings.Repeat("你好", 400),
	} {
		got := u.Understand(text)
		if got.Intent != bot.IntentNone {
			t.Errorf("%s: %+v, want none", name, got)
		}
	}
	for name, text := range map[string]string{
		"one phrase": strings.Repeat("hồ sơ ", 330), "stop words": strings.Repeat("dừng tin ", 220), "fillers": strings.Repeat("dạ em ạ ", 250),
		"half phrases": strings.Repeat("trung tâm phục vụ hành ", 85), "erase": strings.Repeat("xoá dữ liệu ", 150),
	} {
		got := u.Understand(text)
		checkSound(t, name, got)
	}
	long := strings.Repeat("hôm nay trời mưa và tôi ở nhà nấu cơm ", 25) + " cho tôi hỏi hồ sơ xong chưa"
	if got := u.Understand(long); got.Intent != bot.IntentLookup {
		t.Errorf("a request at the end of %d characters: %+v", len(long), got)
	}
}

func TestShared(t *testing.T) {
	u := load(t)
	all := sentences(t, "utterances")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, s := range all {
				u.Understand(s.text)
			}
		})
	}
	wg.Wait()
}

// Words of the lexicon in any order never break anything.
func TestAnyOrder(t *testing.T) {
	u := load(t)
	var words []string
	for _, s := range sentences(t, "utterances", "dev") {
		words = append(words, strings.Fields(s.text)...)
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 40).Draw(rt, "words"), " ")
		checkSound(t, text, u.Understand(text))
	})
}

func FuzzUnderstand(f *testing.F) {
	u := load(f)
	for _, s := range sentences(f, "utterances") {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkSound(t, text, u.Understand(text)) })
}

func BenchmarkUnderstand(b *testing.B) {
	u := load(b)
	for name, text := range map[string]string{
		"short":      "tra cuu ho so",
		"usual":      "Dạ cho em hỏi hồ sơ đăng ký khai sinh của cháu đến đâu rồi ạ?",
		"long":       "em chào ad, em có nộp bộ hồ sơ khai sinh cho cháu từ hôm mùng 3, ad kiểm tra giúp em xem đã xong chưa ạ, em cảm ơn",
		"none":       "hôm qua tôi đi chợ mua mớ rau với con gà",
		"2000":       strings.Repeat("tôi muốn hỏi hồ sơ đất đai ", 75),
		"2000 slips": strings.Repeat("thogn hsoo qweert kiemt ", 85),
		"2000 same":  strings.Repeat("dừng tin ", 220),
		"2000 zalgo": strings.Repeat("z̶̢a͈l̷g̸o ", 150),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				u.Understand(text)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	files := content.Files("")
	for b.Loop() {
		if _, err := understand.New(files); err != nil {
			b.Fatal(err)
		}
	}
}

// A number is an answer to a question that is not open any more, not a wish.
func TestBareNumbersAskForNothing(t *testing.T) {
	u, err := understand.New(content.Files(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1", "2", "3", "0", "9", "10", "1.", "(1)", "so 1", "số 2 ạ", "12345", "chọn 3"} {
		if got := u.Understand(text); got.Intent != bot.IntentNone {
			t.Errorf("%q = %s, want none", text, got.Intent)
		}
	}
}
