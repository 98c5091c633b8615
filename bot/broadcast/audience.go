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
// Every table is read in the same range of citizens by its primary key: a slice
// costs what the slice holds, however many people there are.
func audienceSQL(b Broadcast, q audienceQuery, include, exclude []string) (string, []any) {
	w := &where{}
	oa := w.arg(q.oa)
	// in narrows a table, by its alias, to the account and to the range.
	in := func(alias string) string {
		s := alias + ".oa_id = " + oa
		if q.after != "" {
			s += " AND " + alias + ".citizen > " + w.arg(q.after)
		}
		if q.upto != "" {
			s += " AND " + alias + ".citizen <= " + w.arg(q.upto)
		}
		return s
	}
	at := w.arg(q.at) + "::timestamptz"
	paused, consent, noConsent := "", "", ""
	if !b.Urgent {
		paused = "\n\tWHEN s.paused_until >= " + w.arg(q.at.Add(b.ExpiresAfter)) + " THEN '" + SkipPaused + "'"
	}
	if b.needsConsent() {
		noConsent = "\n\tWHEN k.citizen IS NULL THEN '" + SkipNoConsent + "'"
		// By consent_open.
		consent = `
LEFT JOIN (SELECT DISTINCT k.citizen FROM consent k
	WHERE ` + in("k") + ` AND k.purpose = ` + w.arg(citizen.PurposeTopic(b.Purpose)) + ` AND k.withdrawn_at IS NULL AND k.given_at <= ` + at + `) k
	ON k.citizen = c.citizen`
	}
	sql := `
SELECT c.oa_id, c.citizen,
	CASE WHEN s.stopped_at IS NOT NULL THEN '` + SkipStopped + `'` + paused + noConsent + ` END AS skip,
	v.interacted_at, c.following, c.phone_hash IS NOT NULL AND c.phone_proven_at IS NOT NULL AS phone_ok,
	s.stopped_at IS NOT NULL AS stopped, c.language
FROM citizen c
LEFT JOIN conversation v ON v.citizen = c.citizen AND ` + in("v") + `
LEFT JOIN push_person s ON s.citizen = c.citizen AND ` + in("s") + consent + `
WHERE ` + in("c") + ` AND c.created_at <= ` + at
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
	if len(b.Audience.People) > 0 {
		conditions = append(conditions, `c.citizen = ANY (`+w.arg(b.Audience.People)+`::text[])`)
	}
	for _, c := range conditions {
		sql += "\nAND " + c
	}
	if out := w.filter(b.Audience.Exclude, exclude, oa, q.at); len(out) > 0 {
		sql += "\nAND NOT (" + strings.Join(out, "\n\tAND ") + ")"
	}
	return sql, w.args
}

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
		all = append(all, "coalesce(v.interacted_at >= "+w.arg(at.AddDate(0, 0, -f.InteractedDays))+", false)")
	}
	if f.Following {
		all = append(all, "c.following")
	}
	return all
}
