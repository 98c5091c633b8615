package main

import (
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// TestStoryOfARestore: the database's machine is lost. The backup is restored as
// the runbook says and has forgotten an erasure, answers, and what became of a
// message in the air. The server takes everything in and sends nothing until
// `resume`; then the erasure holds again, what waits is answered, and nobody reads
// twice what they were told before.
func TestStoryOfARestore(t *testing.T) {
	t.Parallel()
	cluster, url := durable(t)
	w := newWorld(t, url)
	s := w.start()
	her, lan, binh, mai := w.newcomer(1), w.newcomer(2), w.newcomer(3), w.newcomer(4)
	her.tells()
	lan.follows()
	binh.follows()
	mai.follows()
	w.quiet()

	// Zalo takes Bình's answer and does not say so while the backup is made.
	hang := w.zalo.Fault(zalosim.Fault{User: binh.id, Hang: true, Taken: true})
	w.zalo.SendText(binh.id, papersWanted)
	<-hang.Struck()
	restoredTo := backUp(t, w, cluster)
	hang.Release()

	// What only the lost database knew.
	has(t, lan.says(papersWanted), papersWanted)
	her.says("xoá dữ liệu của tôi")
	has(t, her.says("XOÁ"), "biên nhận")
	w.quiet()
	logFile := filepath.Join(t.TempDir(), "congdanso.log")
	if err := os.WriteFile(logFile, []byte("-- a line of systemd --\n"+s.Logs()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := cluster.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.zalo.SendText(mai.id, tooLate) // nobody is there

	restored := pgtest.StartIn(t, postgres.Options{Dir: restoredTo, Fsync: true, Settings: map[string]string{"restore_command": "false"}})
	w.vars["DATABASE_URL"] = restored.URL("")
	w.pool = pgtest.Open(t, restored.URL(""))
	eventually(t, time.Minute, "the restored database takes writes", func() bool { return w.pool.Ping(t.Context()) == nil })
	w.exec(`UPDATE heartbeat SET beat_at = beat_at - interval '1 minute'`) // restoring took a while
	heardBefore := map[*resident]int{her: len(her.sends()), lan: len(lan.sends()), binh: len(binh.sends()), mai: len(mai.sends())}
	silent := func() {
		t.Helper()
		for r, n := range heardBefore {
			if len(r.sends()) != n {
				t.Fatalf("something was sent before resume:\n%s", r.newest().Text)
			}
		}
	}

	s = w.start()
	w.zalo.SendText(lan.id, isReady)
	eventually(t, soon, "it is taken in, turned, and waits", func() bool {
		return w.count(`SELECT count(*) FROM outbox WHERE citizen = $1`, lan.id) == 1 && w.count(`SELECT count(*) FROM inbox`) == 0
	})
	eventually(t, soon, "the operators' figure", func() bool { return strings.Contains(get(t, s.url+"/metrics").body, "congdanso_sending_stopped 1") })
	if got := get(t, s.url+"/readyz"); got.status != http.StatusOK {
		t.Errorf("/readyz says %d %s; the door must stay open", got.status, got.body)
	}
	if !strings.Contains(s.Logs(), "nothing is sent until `congdanso resume`") {
		t.Error("the log does not say what to do")
	}
	if w.count(`SELECT count(*) FROM citizen WHERE citizen = $1`, her.id) != 1 {
		t.Error("the backup has not forgotten the erasure; there is nothing to apply again")
	}
	silent()

	out, err := w.invoke("resume", "--erased", logFile)
	if err != nil || !strings.Contains(out, "Erasures applied again: 1.") || !strings.Contains(out, "whose fate is unknown: 1.") {
		t.Fatalf("resume: %v\n%s", err, out)
	}
	w.nothingLeftOf(her)
	eventually(t, soon, "what waited is sent", func() bool { return strings.Contains(lan.heard(), "Hồ sơ "+isReady) })
	eventually(t, time.Minute, "what was missed is read back and answered", func() bool { return strings.Contains(mai.heard(), "Hồ sơ "+tooLate) })
	w.quiet()
	if n := strings.Count(lan.heard(), "Hồ sơ "+papersWanted); n != 1 {
		t.Errorf("told %d times what was told before the loss", n)
	}
	if n := len(binh.sends()); n != heardBefore[binh] {
		t.Errorf("a message in the air was sent again:\n%s", binh.heard())
	}
	if n := len(her.sends()); n != heardBefore[her] {
		t.Errorf("who was erased is written to:\n%s", her.newest().Text)
	}
	// Once more, from standard input: nothing is left to do, and nothing breaks.
	log, err := os.Open(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if out, err := invoke(w.vars, log, "resume", "--erased", "-"); err != nil || !strings.Contains(out, "Erasures applied again: 0.") {
		t.Errorf("resume a second time: %v\n%s", err, out)
	}
	w.stop(s)
}

// TestStoryOfPausedSending: with SEND_PAUSED everything is taken in and turned,
// nothing is sent; without it what waits goes out, in order.
func TestStoryOfPausedSending(t *testing.T) {
	t.Parallel()
	w, s := open(t, func(_ *zalosim.Options, vars map[string]string) { vars["SEND_PAUSED"] = "1" })
	lan := w.newcomer(1)
	w.zalo.Follow(lan.id)
	w.zalo.SendText(lan.id, papersWanted)
	w.zalo.SendText(lan.id, "menu")
	eventually(t, soon, "three answers wait", func() bool {
		return w.count(`SELECT count(*) FROM inbox`) == 0 && w.count(`SELECT count(*) FROM outbox WHERE state = 'pending'`) == 3
	})
	eventually(t, soon, "the operators' figure", func() bool { return strings.Contains(get(t, s.url+"/metrics").body, "congdanso_sending_stopped 1") })
	if n := w.zalo.CallCount(zalosim.PathSend); n != 0 {
		t.Fatalf("%d calls while sending is paused", n)
	}
	if out, err := w.invoke("check"); err != nil || !strings.Contains(out, "SEND_PAUSED is set") {
		t.Errorf("check: %v\n%s", err, out)
	}
	w.stop(s)
	delete(w.vars, "SEND_PAUSED")
	s = w.start()
	eventually(t, soon, "what waited", func() bool { return len(lan.sends()) == 3 })
	got := w.replies(lan.id)
	for i, want := range []string{"Xin chào", papersWanted, text(t, "menu.intro")} {
		if !strings.Contains(got[i], want) {
			t.Errorf("message %d is not %q:\n%s", i+1, want, got[i])
		}
	}
	w.stop(s)
}

// backUp copies a running server as pg_basebackup does, ready to be recovered into
// a timeline of its own, and returns the folder.
func backUp(t testing.TB, w *world, cluster *postgres.Cluster) string {
	t.Helper()
	var bin string
	if err := w.pool.QueryRow(t.Context(), `SELECT setting FROM pg_config WHERE name = 'BINDIR'`).Scan(&bin); err != nil {
		t.Fatal(err)
	}
	folder := pgtest.Folder(t)
	data := filepath.Join(folder, "data")
	out, err := exec.Command(filepath.Join(bin, "pg_basebackup"), "--dbname="+cluster.URL("postgres"), "--pgdata="+data,
		"--checkpoint=fast", "--wal-method=stream").CombinedOutput()
	if err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(cluster.Folder(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t) // Postgres's user, where the tests run as root
	err = filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
