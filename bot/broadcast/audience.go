package broadcast

import (
	"fmt"
	"strings"
	"time"

	"congdanso/bot/citizen"
)

// Why a member of an audience is not written to.
const (
	SkipStopped   = "stopped"    // "stop everything": not even urgent ones go
	SkipPaused    = "paused"     // until after the copy's expiry
	SkipNoConsent = "no_consent" // to this purpose
)

// audienceSQL writes the SELECT that types.go promises. Units are present codes.
//
// Whoever fits belongs to the audience, also who is not written to and why: the
// books count them. Whom an exclusion or an erasure takes out does not appear.
//
// People are read in a range of the primary key, and what is known of each by the
// primary keys of the other tables, person by person: a slice costs what the slice
// holds, however many people there are, and whatever the planner believes of tables
// that have just been filled.
func audienceSQL(b Broadcast, q audienceQuery, include, exclude []string) (string, []any) {
	w := &where{}
	oa := w.arg(q.oa)
	members := "c.oa_id = " + oa
	if q.after != "" {
		members += " AND c.citizen > " + w.arg(q.after)
	}
	if q.upto != "" {
		members += " AND c.citizen <= " + w.arg(q.upto)
	}
	at := w.arg(q.at) + "::timestamptz"
	paused, noConsent := "", ""
	if !b.Urgent {
		paused = "\n\tWHEN s.paused_until >= " + w.arg(q.at.Add(b.ExpiresAfter)) + " THEN '" + SkipPaused + "'"
	}
	if b.needsConsent() {
		// By consent_open, person by person: quick also before the tables' statistics
		// know of people who were imported a moment ago.
		noConsent = `
	WHEN NOT EXISTS (SELECT FROM consent k WHERE k.oa_id = ` + oa + ` AND k.purpose = ` + w.arg(citizen.PurposeTopic(b.Purpose)) + `
		AND k.citizen = c.citizen AND k.withdrawn_at IS NULL AND k.given_at <= ` + at + `) THEN '` + SkipNoConsent + `'`
	}
	sql := `
SELECT c.oa_id, c.citizen,
	CASE WHEN s.stopped_at IS NOT NULL THEN '` + SkipStopped + `'` + paused + noConsent + ` END AS skip,
	(` + interacted + `) AS interacted_at, c.following, c.phone_hash IS NOT NULL AND c.phone_proven_at IS NOT NULL AS phone_ok,
	s.stopped_at IS NOT NULL AS stopped, c.language
FROM citizen c
LEFT JOIN LATERAL (SELECT s.stopped_at, s.paused_until FROM push_person s WHERE s.oa_id = c.oa_id AND s.citizen = c.citizen LIMIT 1) s ON true
WHERE ` + members + ` AND c.created_at <= ` + at
	conditions := w.filter(b.Audience.Include, include, oa, q.at)
	if b.Audience.List != 0 {
		conditions = append(conditions, `EXISTS (SELECT FROM broadcast_list_row l
	WHERE l.list = `+w.arg(b.Audience.List)+` AND l.phone_hash = c.phone_hash)`)
	}
	if len(b.Audience.SentBy) > 0 {
		conditions = append(conditions, `EXISTS (SELECT FROM push p
	WHERE p.oa_id = `+oa+` AND p.citizen = c.citizen AND p.source = ANY (`+w.arg(b.Audience.SentBy)+`::bigint[])
	AND p.state IN ('sent', 'unknown', 'queued'))`)
	}
	if len(b.Audience.Testers) > 0 {
		conditions = append(conditions, `EXISTS (SELECT FROM broadcast_tester e
	WHERE e.oa_id = `+oa+` AND e.citizen = c.citizen AND e.id = ANY (`+w.arg(b.Audience.Testers)+`::bigint[]))`)
	}
	for _, c := range conditions {
		sql += "\nAND " + c
	}
	if out := w.filter(b.Audience.Exclude, exclude, oa, q.at); len(out) > 0 {
		sql += "\nAND NOT (" + strings.Join(out, "\n\tAND ") + ")"
	}
	return sql, w.args
}

// interacted is when a person last interacted.
const interacted = `SELECT v.interacted_at FROM conversation v WHERE v.oa_id = c.oa_id AND v.citizen = c.citizen`

// needsConsent reports whether people are asked before they are written to. A
// duty or a disaster needs a legal basis instead, which the approver confirms, and
// who got the wrong message may be told the right one.
func (b *Broadcast) needsConsent() bool {
	lawful := (b.Purpose == PurposeDuty || b.Purpose == PurposeDisaster) && strings.TrimSpace(b.LegalBasis) != ""
	return !lawful && len(b.Audience.SentBy) == 0
}

// where gathers arguments and conditions.
type where struct{ args []any }

// arg adds an argument and returns its place.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return fmt.Sprintf("$%d", len(w.args))
}

// filter writes a filter's conditions, none of which is ever NULL.
func (w *where) filter(f Filter, units []string, oa string, at time.Time) []string {
	var all []string
	has := func(table, column string, values []string) {
		all = append(all, `EXISTS (SELECT FROM `+table+` h
	WHERE h.oa_id = `+oa+` AND h.citizen = c.citizen AND h.`+column+` = ANY (`+w.arg(values)+`::text[]))`)
	}
	if len(f.Units) > 0 {
		has("notice_area", "code", units)
	}
	if len(f.Topics) > 0 {
		has("notice_subscription", "topic", f.Topics)
	}
	if len(f.Tags) > 0 {
		has("citizen_tag", "tag", f.Tags)
	}
	if f.Language != "" {
		all = append(all, "c.language = "+w.arg(f.Language))
	}
	if f.InteractedDays > 0 {
		all = append(all, "coalesce(("+interacted+") >= "+w.arg(at.AddDate(0, 0, -f.InteractedDays))+", false)")
	}
	if f.Following {
		all = append(all, "c.following")
	}
	return all
}
