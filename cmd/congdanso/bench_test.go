package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"congdanso/integrations/postgres/pgtest"
	"congdanso/integrations/zalo/zalosim"
)

// meter sits at the stand-in: it notes when each person's message left for the
// door and when the reply arrived.
type meter struct {
	mu    sync.Mutex
	left  map[string]time.Time
	waits []time.Duration
	done  chan string // whose reply arrived
}

func newMeter() *meter { return &meter{left: map[string]time.Time{}, done: make(chan string, 1<<16)} }

func (m *meter) arrived(s zalosim.Send) {
	now := time.Now()
	m.mu.Lock()
	if at, ok := m.left[s.User]; ok {
		m.waits = append(m.waits, now.Sub(at))
		delete(m.left, s.User)
	}
	m.mu.Unlock()
	m.done <- s.User
}

func (m *meter) sends(sim *zalosim.Sim, user, text string) {
	m.mu.Lock()
	m.left[user] = time.Now()
	m.mu.Unlock()
	sim.SendText(user, text)
}

func (m *meter) reset() (waits []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	waits, m.waits = m.waits, nil
	clear(m.left)
	return waits
}

// bench is a server with its surroundings, for measuring.
type bench struct {
	*world
	m      *meter
	server *server
	users  []string
	next   int
	folder string // of the Postgres cluster
}

const benchText = "tra cuu ho so H42.16-240612-0001"

func newBench(b *testing.B, users int, opts ...worldOption) *bench {
	m := newMeter()
	cluster := pgtest.Durable(b)
	opts = append(opts, func(o *zalosim.Options, _ map[string]string) {
		o.OnSend, o.KeepMessages, o.KeepLog = m.arrived, -1, -1
		o.WebhookWorkers = 128
	})
	w := newWorld(b, cluster.URL(""), opts...)
	x := &bench{world: w, m: m, folder: cluster.Folder()}
	x.server = w.serve(freePort(b))
	w.zalo.SetWebhookURL(x.server.url + "/webhooks/zalo")
	x.server.Ready()
	b.Cleanup(func() {
		if err := x.server.Stop(); err != nil {
			b.Error(err)
		}
	})
	for i := range users {
		x.users = append(x.users, strconv.Itoa(2_500_000_000_000_000_000+i))
	}
	rand.Shuffle(len(x.users), func(i, j int) { x.users[i], x.users[j] = x.users[j], x.users[i] })
	return x
}

// user takes the next person in turn, so that nobody writes faster than people do.
func (x *bench) user() string {
	u := x.users[x.next%len(x.users)]
	x.next++
	return u
}

// steady sends so many messages a second for a while, whether answers come or not.
func (x *bench) steady(perSecond int, d time.Duration) []time.Duration {
	x.m.reset()
	n := int(d.Seconds() * float64(perSecond))
	start := time.Now()
	for i := range n {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		if wait := time.Until(due); wait > 0 {
			<-time.After(wait)
		}
		x.m.sends(x.zalo, x.user(), benchText)
	}
	for range n {
		<-x.m.done
	}
	return x.m.reset()
}

// saturate keeps so many messages under way until n are answered.
func (x *bench) saturate(outstanding, n int) (perSecond float64, waits []time.Duration) {
	x.m.reset()
	start := time.Now()
	for range outstanding {
		x.m.sends(x.zalo, x.user(), benchText)
	}
	for i := range n {
		<-x.m.done
		if i < n-outstanding {
			x.m.sends(x.zalo, x.user(), benchText)
		}
	}
	return float64(n) / time.Since(start).Seconds(), x.m.reset()
}

func quantile(waits []time.Duration, q float64) float64 {
	slices.Sort(waits)
	return float64(waits[int(q*float64(len(waits)-1))].Microseconds()) / 1000
}

// cpu is the processor time of a process so far, of its own and of its children
// that have ended.
func cpu(b *testing.B, pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel counts in hundredths
}

// spent is the processor time so far of everybody who has a part in a turn.
type spent struct{ server, postgres, rest time.Duration }

func (x *bench) spent(b *testing.B) (s spent) {
	s.server = cpu(b, x.server.cmd.Process.Pid)
	s.rest = cpu(b, os.Getpid()) // the stand-ins and the load
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || !strings.HasPrefix(string(raw), "postgres:") {
			continue
		}
		if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || !strings.HasPrefix(cwd, x.folder) {
			continue
		}
		s.postgres += cpu(b, pid)
	}
	return s
}

// report tells the processor time of each part, for each of n turns.
func (s spent) report(b *testing.B, before spent, n int) {
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	b.ReportMetric(each(s.server-before.server), "server-cpu-µs/turn")
	b.ReportMetric(each(s.postgres-before.postgres), "postgres-cpu-µs/turn")
	b.ReportMetric(each(s.rest-before.rest), "load-cpu-µs/turn")
}

// peak is the largest resident set a process had, in MiB.
func peak(b *testing.B, pid int) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

func withReceipts(on bool) worldOption {
	return func(o *zalosim.Options, _ map[string]string) { o.NoReceipts, o.NoEchoes = !on, !on }
}

// BenchmarkTurns measures turns end to end, from the webhook's departure to the
// stand-in's receipt of the reply: a look-up of a dossier by code, Postgres with
// fsync, server, stand-ins, load and Postgres on the same processors.
func BenchmarkTurns(b *testing.B) {
	b.Run("one_at_a_time", func(b *testing.B) {
		x := newBench(b, 500, withReceipts(true))
		x.saturate(1, 1_000) // warm
		for b.Loop() {
			_, waits := x.saturate(1, 1_000)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(quantile(waits, .5), "p50-ms")
			b.ReportMetric(quantile(waits, .99), "p99-ms")
		}
	})
	b.Run("500_a_second_with_receipts", func(b *testing.B) {
		x := newBench(b, 20_000, withReceipts(true))
		x.steady(500, 3*time.Second) // warm
		for b.Loop() {
			before := x.spent(b)
			waits := x.steady(500, 15*time.Second)
			x.spent(b).report(b, before, len(waits))
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(quantile(waits, .5), "p50-ms")
			b.ReportMetric(quantile(waits, .99), "p99-ms")
			b.ReportMetric(peak(b, x.server.cmd.Process.Pid), "peak-MiB")
		}
	})
	for name, receipts := range map[string]bool{"most_without_receipts": false, "most_with_receipts": true} {
		b.Run(name, func(b *testing.B) {
			x := newBench(b, 20_000, withReceipts(receipts))
			x.saturate(256, 20_000) // warm: everybody is known
			for b.Loop() {
				before := x.spent(b)
				rate, waits := x.saturate(256, 30_000)
				x.spent(b).report(b, before, 30_000)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(rate, "turns/s")
				b.ReportMetric(quantile(waits, .5), "p50-ms")
				b.ReportMetric(quantile(waits, .99), "p99-ms")
				b.ReportMetric(peak(b, x.server.cmd.Process.Pid), "peak-MiB")
			}
		})
	}
}

// BenchmarkTurnsStored measures the same turn with few and with many people
// stored; with many, also ten million rows of history.
func BenchmarkTurnsStored(b *testing.B) {
	for _, stored := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(stored, "_citizens"), func(b *testing.B) {
			x := newBench(b, stored, withReceipts(false))
			x.fill(b, stored)
			x.saturate(128, 4_000) // warm
			for b.Loop() {
				before := x.spent(b)
				rate, _ := x.saturate(128, 15_000)
				x.spent(b).report(b, before, 15_000)
				steady := x.steady(300, 10*time.Second)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(rate, "turns/s")
				b.ReportMetric(quantile(steady, .5), "p50-ms")
				b.ReportMetric(quantile(steady, .99), "p99-ms")
			}
		})
	}
}

// fill stores people, where they stand, and (with many) what was said.
func (x *bench) fill(b *testing.B, stored int) {
	b.Helper()
	const first = 2_500_000_000_000_000_000
	for _, sql := range []string{
		`INSERT INTO citizen (oa_id, citizen, created_at) SELECT $1, ($2::bigint + i)::text, now() - interval '90 days' FROM generate_series(0, $3::int - 1) i`,
		`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at, state)
		 SELECT $1, ($2::bigint + i)::text, now() - interval '9 days', now() - interval '9 days', decode(repeat('00', 300), 'hex') FROM generate_series(0, $3::int - 1) i`,
	} {
		if _, err := x.pool.Exec(b.Context(), sql, zalosim.ExampleOAID, int64(first), stored); err != nil {
			b.Fatal(err)
		}
	}
	if stored >= 1_000_000 {
		for slice := range 20 { // ten rows a person, spread over the weeks
			_, err := x.pool.Exec(b.Context(), `
INSERT INTO history (oa_id, citizen, at, outgoing, kind, msg_id, body)
SELECT $1, ($2::bigint + (i * 7919 % $3))::text, now() - random() * interval '20 days', i % 2 = 0, 'message', md5(i::text), decode(repeat('ab', 120), 'hex')
FROM generate_series($4::bigint, $4::bigint + 499999) i`, zalosim.ExampleOAID, int64(first), int64(stored), int64(slice)*500_000)
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := x.pool.Exec(b.Context(), `VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStart measures how long a server takes from its start to its first
// "ready".
func BenchmarkStart(b *testing.B) {
	w := newWorld(b, pgtest.URL(b))
	addr := freePort(b)
	for b.Loop() {
		s := w.serve(addr).Ready()
		b.StopTimer()
		s.Kill()
		b.StartTimer()
	}
}
