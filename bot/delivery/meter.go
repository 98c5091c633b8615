package delivery

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meter counts on the way of a message; nothing of it asks the database.
type meter struct {
	deliveries *prometheus.CounterVec
	calls      prometheus.Histogram
	age        *prometheus.HistogramVec
	lostNotes  prometheus.Counter

	mu         sync.Mutex
	sent       [priorities]int     // settled since the last tick
	rate       [priorities]float64 // settled a second, smoothed
	overdueFor [priorities]time.Duration
}

func newMeter() *meter {
	return &meter{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "congdanso_deliveries_total",
			Help: "What became of messages and calls: sent, echoed (sent, known by its echo), retried, ambiguous, resent, unknown, failed, dropped.",
		}, []string{"class", "outcome"}),
		calls: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "congdanso_zalo_call_seconds",
			Help:    "How long calls to Zalo took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 8},
		}),
		age: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "congdanso_delivery_age_seconds",
			Help:    "From the decision of a message to Zalo's answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600},
		}, []string{"class"}),
		lostNotes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "congdanso_receipts_lost_total",
			Help: "Echoes and receipts that could not be written.",
		}),
	}
}

func (m *meter) count(p Priority, outcome string) {
	m.deliveries.WithLabelValues(p.String(), outcome).Inc()
}

// called notes a call to Zalo.
func (m *meter) called(took time.Duration) { m.calls.Observe(took.Seconds()) }

// settled counts what became of a job. The metric "-" is not counted.
func (m *meter) settled(j *job, v verdict, now time.Time) {
	name := v.metric
	if name == "" {
		name = v.outcome
	}
	if name == "" || name == "-" {
		return
	}
	m.count(j.priority, name)
	if v.state != "" {
		return
	}
	if v.outcome == outcomeSent {
		m.age.WithLabelValues(j.priority.String()).Observe(now.Sub(j.created).Seconds())
	}
	m.mu.Lock()
	m.sent[j.priority]++
	m.mu.Unlock()
}

func (m *meter) lost(n int) { m.lostNotes.Add(float64(n)) }

// tick smooths the rates; it is called once every interval.
func (m *meter) tick(interval time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, n := range m.sent {
		m.rate[p] += (float64(n)/interval.Seconds() - m.rate[p]) / 2
		m.sent[p] = 0
	}
}

func (m *meter) perSecond(p Priority) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.rate[p], float64(m.sent[p]))
}

func (m *meter) overdue(d [priorities]time.Duration) {
	m.mu.Lock()
	m.overdueFor = d
	m.mu.Unlock()
}

var (
	oldestDesc = prometheus.NewDesc("congdanso_outbox_oldest_seconds",
		"How long the message next in line has waited: here in memory, or in the table for anybody to take.", []string{"class"}, nil)
	waitingDesc = prometheus.NewDesc("congdanso_outbox_waiting",
		"Messages this instance has claimed and not yet sent.", []string{"class"}, nil)
	inAirDesc = prometheus.NewDesc("congdanso_calls_in_air",
		"Calls under way, from their mark until they are settled.", nil, nil)
	pausedDesc = prometheus.NewDesc("congdanso_send_paused",
		"1 while nothing is sent (SEND_PAUSED, or a database that was restored).", nil, nil)
	restDesc = prometheus.NewDesc("congdanso_pushes_rest",
		"1 while notices and broadcasts rest, but for one a minute, because calls in a row were not answered.", nil, nil)
	droppedNotesDesc = prometheus.NewDesc("congdanso_receipts_dropped_total",
		"Echoes and receipts dropped because too many waited to be written.", nil, nil)
)

// Stats is how delivery stands, as this instance sees it.
type Stats struct {
	Waiting [Priorities]int           // claimed, in memory
	Oldest  [Priorities]time.Duration // of the one next in line
	InAir   int
	Paused  bool
}

// Stats tells how delivery stands. It asks nothing of the database.
func (o *Outbox) Stats() Stats {
	now := o.opt.Now()
	waiting, _ := o.queue.counts()
	s := Stats{Waiting: waiting, InAir: o.places.inAir(), Paused: o.paused.Load()}
	o.meter.mu.Lock()
	s.Oldest = o.meter.overdueFor
	o.meter.mu.Unlock()
	for p := range priorities {
		if at := o.queue.oldest(p); !at.IsZero() {
			s.Oldest[p] = max(s.Oldest[p], now.Sub(at))
		}
	}
	return s
}

// Describe implements prometheus.Collector.
func (o *Outbox) Describe(ch chan<- *prometheus.Desc) {
	o.meter.deliveries.Describe(ch)
	o.meter.calls.Describe(ch)
	o.meter.age.Describe(ch)
	o.meter.lostNotes.Describe(ch)
	for _, d := range []*prometheus.Desc{oldestDesc, waitingDesc, inAirDesc, pausedDesc, restDesc, droppedNotesDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (o *Outbox) Collect(ch chan<- prometheus.Metric) {
	o.meter.deliveries.Collect(ch)
	o.meter.calls.Collect(ch)
	o.meter.age.Collect(ch)
	o.meter.lostNotes.Collect(ch)
	s := o.Stats()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for p := range priorities {
		gauge(oldestDesc, s.Oldest[p].Seconds(), p.String())
		gauge(waitingDesc, float64(s.Waiting[p]), p.String())
	}
	gauge(inAirDesc, float64(s.InAir))
	paused := 0.0
	if s.Paused {
		paused = 1
	}
	gauge(pausedDesc, paused)
	rest := 0.0
	if !o.PushesRest().IsZero() {
		rest = 1
	}
	gauge(restDesc, rest)
	o.notes.mu.Lock()
	dropped := o.notes.dropped
	o.notes.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(droppedNotesDesc, prometheus.CounterValue, float64(dropped))
}
