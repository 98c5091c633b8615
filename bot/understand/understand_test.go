package understand_test

import (
	"bytes"
	"os"
	"testing"

	"congdanso/bot/understand"
	"congdanso/content"
)

func load(t testing.TB) *understand.Understander {
	t.Helper()
	u, err := understand.New(content.Files(""))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestReportFiles(t *testing.T) {
	u := load(t)
	for _, f := range []string{"utterances", "dev"} {
		in, err := os.Open("testdata/" + f + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := understand.Report(&out, in, u); err != nil {
			t.Fatal(err)
		}
		t.Log(f, out.String())
	}
}

func TestHeldOutCount(t *testing.T) {
	u := load(t)
	in, _ := os.Open("testdata/heldout.csv")
	var out bytes.Buffer
	understand.Report(&out, in, u)
	b := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	t.Logf("%s", b[len(b)-1])
}
