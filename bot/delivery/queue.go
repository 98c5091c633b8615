package delivery

import (
	"cmp"
	"container/list"
	"slices"
	"sync"
	"time"

	"congdanso/bot"
)

// job is a row of the outbox that this instance holds.
type job struct {
	who      bot.CitizenID
	id       int64
	priority Priority
	kind     string
	msg      *bot.Message
	template *bot.Template
	call     *bot.Call
	refs     []int64 // what a push is sent for
	rung     string
	probe    bool  // it tries whether Zalo answers pushes again
	tries    int16 // calls begun
	unsure   int16
	secret   bool
	event    string // see Item.EventID
	created  time.Time
	expires  time.Time
	window   time.Time // zero: not known
	newer    bool      // a newer status about the same thing waits in the table

	leaseEnd time.Time // by our clock, and before Postgres's
	slotAt   time.Time // when its slot of the rate limit was taken
}

// push reports whether a ledger keeps the books of it.
func (j *job) push() bool { return len(j.refs) > 0 }

// line is what waits for one citizen, in the order in which it has to go.
type line struct {
	who     bot.CitizenID
	replies []*job
	rest    []*job
	air     *job // the one that is being marked, sent or settled
	ready   *list.Element
	in      Priority // whose ready list it stands in
}

// head is what goes next: a reply overtakes the rest.
func (l *line) head() *job {
	switch {
	case len(l.replies) > 0:
		return l.replies[0]
	case len(l.rest) > 0:
		return l.rest[0]
	}
	return nil
}

func (l *line) lane(j *job) *[]*job {
	if j.priority == Reply {
		return &l.replies
	}
	return &l.rest
}

// queue holds the claimed rows in memory: a line for each citizen, and for each
// priority the citizens whose next job has it, first come first served.
type queue struct {
	mu      sync.Mutex
	lines   map[bot.CitizenID]*line
	ready   [priorities]*list.List
	waiting [priorities]int // jobs in lines, without those in the air
}

func newQueue() *queue {
	q := &queue{lines: map[bot.CitizenID]*line{}}
	for p := range q.ready {
		q.ready[p] = list.New()
	}
	return q
}

func (q *queue) line(who bot.CitizenID) *line {
	l := q.lines[who]
	if l == nil {
		l = &line{who: who}
		q.lines[who] = l
	}
	return l
}

// push puts a claimed row into its citizen's line. A row that stands there
// already, from an earlier claim, gets the new lease.
func (q *queue) push(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.line(j.who)
	q.insert(l, j)
	q.list(l, false)
}

func (q *queue) insert(l *line, j *job) {
	lane := l.lane(j)
	i, found := slices.BinarySearchFunc(*lane, j.id, func(k *job, id int64) int { return cmp.Compare(k.id, id) })
	if found {
		(*lane)[i] = j
		return
	}
	*lane = slices.Insert(*lane, i, j)
	q.waiting[j.priority]++
}

// list makes a line stand in the ready list where its head belongs, or in none.
func (q *queue) list(l *line, front bool) {
	h := l.head()
	if l.ready != nil {
		if h != nil && l.air == nil && l.in == h.priority {
			return
		}
		q.ready[l.in].Remove(l.ready)
		l.ready = nil
	}
	switch {
	case h == nil && l.air == nil:
		delete(q.lines, l.who)
	case h == nil || l.air != nil:
	case front:
		l.in, l.ready = h.priority, q.ready[h.priority].PushFront(l)
	default:
		l.in, l.ready = h.priority, q.ready[h.priority].PushBack(l)
	}
}

// pop takes up to n jobs of a priority, one a citizen, into the air.
func (q *queue) pop(p Priority, n int) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	var jobs []*job
	for len(jobs) < n && q.ready[p].Len() > 0 {
		l := q.ready[p].Front().Value.(*line)
		j := l.head()
		lane := l.lane(j)
		*lane = (*lane)[1:]
		q.waiting[p]--
		l.air = j
		q.list(l, false)
		jobs = append(jobs, j)
	}
	return jobs
}

// putBack returns jobs from the air to the front of their lines, in the order in
// which they were popped.
func (q *queue) putBack(jobs []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range slices.Backward(jobs) {
		l := q.line(j.who)
		l.air = nil
		q.insert(l, j)
		q.list(l, true)
	}
}

// fly puts a job into the air that did not wait in its line.
func (q *queue) fly(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.line(j.who)
	if l.air == nil {
		l.air = j
	}
	q.list(l, false)
}

// land takes a job out of the air; the citizen's next one may go.
func (q *queue) land(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[j.who]; l != nil && l.air == j {
		l.air = nil
		q.list(l, false)
	}
}

// idle reports whether nothing waits or flies for a citizen.
func (q *queue) idle(who bot.CitizenID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines[who] == nil
}

// take removes the waiting jobs that want says.
func (q *queue) take(want func(*job) bool) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	var taken []*job
	keep := func(j *job) bool {
		if !want(j) {
			return false
		}
		taken = append(taken, j)
		q.waiting[j.priority]--
		return true
	}
	for _, l := range q.lines {
		l.replies = slices.DeleteFunc(l.replies, keep)
		l.rest = slices.DeleteFunc(l.rest, keep)
		q.list(l, false)
	}
	return taken
}

// outdated reports whether a newer status about the same thing waits behind j.
func (q *queue) outdated(j *job) bool {
	if j.newer || j.msg == nil || j.msg.About == "" {
		return j.newer
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[j.who]
	return l != nil && slices.ContainsFunc(*l.lane(j), func(k *job) bool {
		return k.id > j.id && k.msg != nil && k.msg.About == j.msg.About
	})
}

// counts returns how many jobs wait and how many citizens are ready.
func (q *queue) counts() (waiting, ready [priorities]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p := range q.ready {
		ready[p] = q.ready[p].Len()
	}
	return q.waiting, ready
}

// oldest is when the job was decided whose turn is next, zero when none waits.
func (q *queue) oldest(p Priority) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.ready[p].Front(); e != nil {
		return e.Value.(*line).head().created
	}
	return time.Time{}
}
