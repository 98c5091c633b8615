package broadcast

import (
	"context"
	"fmt"
	"testing"
	"time"

	"congdanso/integrations/postgres"
	"congdanso/integrations/postgres/pgtest"
)

// crowd makes n citizens of whom most wrote once, half chose communes and topics,
// and some stopped.
func (d *desk) crowd(n int) {
	d.t.Helper()
	for _, sql := range []string{
		`INSERT INTO citizen (oa_id, citizen, language, following, created_at)
SELECT $1, (2500000000000000000 + i)::text, CASE WHEN i % 20 = 0 THEN 'en' ELSE 'vi' END, i % 3 > 0, $2::timestamptz FROM generate_series(1, $3) i`,
		`INSERT INTO conversation (oa_id, citizen, turned_at, interacted_at)
SELECT $1, (2500000000000000000 + i)::text, $2::timestamptz, $2::timestamptz - make_interval(hours => i % 500) FROM generate_series(1, $3) i WHERE i % 5 > 0`,
		`INSERT INTO push_person (oa_id, citizen, stopped_at)
SELECT $1, (2500000000000000000 + i)::text, $2::timestamptz FROM generate_series(1, $3, 50) i`,
		`INSERT INTO consent (oa_id, citizen, purpose, text_version, channel, given_at)
SELECT $1, (2500000000000000000 + i)::text, 'topic.health', 'v1', 'zalo', $2::timestamptz - interval '1 day' FROM generate_series(1, $3, 2) i`,
		`INSERT INTO notice_area (oa_id, citizen, code, since)
SELECT $1, (2500000000000000000 + i)::text, ($4::text[])[1 + i % cardinality($4)], $2::timestamptz FROM generate_series(1, $3, 2) i`,
	} {
		args := []any{testOA, noon, n}
		if sql[12:23] == "notice_area" {
			var codes []string
			for _, u := range d.Units.Communes(noon) {
				codes = append(codes, u.Code)
			}
			args = append(args, codes)
		}
		d.exec(sql, args...)
	}
	for _, table := range []string{"citizen", "conversation", "push_person", "consent", "notice_area"} {
		d.exec(`VACUUM ANALYZE ` + table)
	}
}

// BenchmarkAudience reads an audience of a million slice by slice, as a launch does.
func BenchmarkAudience(b *testing.B) {
	const people = 1_000_000
	url := pgtest.URL(b)
	d := newDeskOn(b, pgtest.Open(b, url, postgres.StatementTimeout(5*time.Minute)))
	d.crowd(people)
	everybody := Broadcast{OA: testOA, Definition: bulletin()}
	commune := everybody
	commune.Audience.Include.Units = []string{d.Units.Communes(noon)[0].Code}
	commune.Audience.Exclude.InteractedDays = 2
	byKey := newDeskOn(b, pgtest.Open(b, url, postgres.ByKey()))
	for name, c := range map[string]struct {
		desk *desk
		b    Broadcast
	}{"everybody": {d, everybody}, "one commune": {d, commune}, "everybody by key": {byKey, everybody}, "one commune by key": {byKey, commune}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.desk.Count(context.Background(), c.b, noon); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*people/b.Elapsed().Seconds(), "citizens/s")
		})
	}
	if testing.Verbose() {
		q := audienceQuery{oa: testOA, after: "2500000000000300000", upto: "2500000000000310000", at: noon}
		for _, c := range []Broadcast{everybody, commune} {
			sql, args, err := d.selectAudience(c, q)
			if err != nil {
				b.Fatal(err)
			}
			rows, err := d.Pool.Query(context.Background(), "EXPLAIN ANALYZE "+sql, args...)
			if err != nil {
				b.Fatal(err)
			}
			for rows.Next() {
				var line string
				if err := rows.Scan(&line); err != nil {
					b.Fatal(err)
				}
				fmt.Println(line)
			}
			fmt.Println()
		}
	}
}
