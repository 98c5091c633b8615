package dossier

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

const (
	purposeComment = "rating.comment"

	// MaxComment is how long a rating's comment may be, in characters.
	MaxComment = 1000
	// RatingsShown is from how many ratings in a period on a group is shown: fewer
	// would lead back to people.
	RatingsShown = 5

	ratingsStay = 24 // months
	givenStay   = 12 // months
)

// Period is the month of at where the people live, as ratings are kept.
func Period(at time.Time) time.Time {
	y, m, _ := at.In(Local).Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// rate keeps ratings, one a person and dossier. What is rated, agency and
// procedure, is read from the last known state: a turn has no say in it.
func (b *batch) rate(ctx context.Context, tx pgx.Tx) error {
	if len(b.ratings) == 0 {
		return nil
	}
	var oas, citizens []string
	var hashes, comments [][]byte
	var stars []int16
	var periods []time.Time
	for _, a := range b.ratings {
		e := a.Effect.(Rate)
		if e.Stars < 1 || e.Stars > 5 || utf8.RuneCountInString(e.Comment) > MaxComment {
			return fmt.Errorf("rate: %d stars, a comment of %d bytes", e.Stars, len(e.Comment))
		}
		oas, citizens = append(oas, a.Citizen.OA), append(citizens, a.Citizen.User)
		hashes = append(hashes, b.s.codeHash(e.Code))
		stars, periods = append(stars, int16(e.Stars)), append(periods, Period(a.At))
		var comment []byte
		if e.Comment != "" {
			comment = b.s.ring.Seal(purposeComment, []byte(e.Comment))
		}
		comments = append(comments, comment)
	}
	rows, err := tx.Query(ctx, `
		WITH given AS (
			INSERT INTO rating_given (oa_id, citizen, code_hash, period)
			SELECT DISTINCT ON (w.oa_id, w.citizen, w.code_hash) w.oa_id, w.citizen, w.code_hash, w.period
			FROM unnest($1::text[], $2::text[], $3::bytea[], $4::date[]) AS w(oa_id, citizen, code_hash, period)
			JOIN dossier_known n ON n.code_hash = w.code_hash
			ON CONFLICT DO NOTHING
			RETURNING oa_id, citizen, code_hash)
		SELECT w.n - 1, n.public
		FROM given g
		JOIN unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS w(oa_id, citizen, code_hash, n)
		     ON w.oa_id = g.oa_id AND w.citizen = g.citizen AND w.code_hash = g.code_hash
		JOIN dossier_known n ON n.code_hash = g.code_hash
		ORDER BY w.n`, oas, citizens, hashes, periods)
	if err != nil {
		return fmt.Errorf("rate: %w", err)
	}
	var at int
	var public []byte
	var agencyCodes, agencies, procedureCodes, procedures []string
	var given []int16
	var months []time.Time
	var words [][]byte
	once := map[string]bool{}
	_, err = pgx.ForEachRow(rows, []any{&at, &public}, func() error {
		key := oas[at] + " " + citizens[at] + " " + string(hashes[at])
		if once[key] {
			return nil // rated twice in one commit: the first counts
		}
		once[key] = true
		v, err := b.s.openKnown(public, time.Time{})
		if err != nil {
			return err
		}
		agencyCodes, agencies = append(agencyCodes, v.AgencyCode), append(agencies, v.AgencyName)
		procedureCodes, procedures = append(procedureCodes, v.ProcedureCode), append(procedures, v.ProcedureName)
		given, months, words = append(given, stars[at]), append(months, periods[at]), append(words, comments[at])
		return nil
	})
	if err != nil {
		return fmt.Errorf("rate: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO rating (period, agency_code, agency_name, procedure_code, procedure_name, stars, comment)
		SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::bytea[])`,
		months, agencyCodes, agencies, procedureCodes, procedures, given, words)
	if err != nil {
		return fmt.Errorf("rate: %w", err)
	}
	return nil
}

// RatingGroup is how one procedure at one agency was rated in a month.
type RatingGroup struct {
	AgencyCode, AgencyName       string
	ProcedureCode, ProcedureName string
	Count                        int
	Stars                        [5]int   // how often one to five stars were given
	Comments                     []string // in no order that says when
}

// Average is the mean number of stars.
func (g RatingGroup) Average() float64 {
	sum := 0
	for i, n := range g.Stars {
		sum += (i + 1) * n
	}
	return float64(sum) / float64(g.Count)
}

// Ratings reports the ratings of a month (see Period) by agency and procedure,
// the most rated first. Only groups of RatingsShown and more are told; of smaller
// ones no more than that there are any. Empty agency or procedure codes mean all.
func (s *Store) Ratings(ctx context.Context, agency, procedure string, period time.Time) (groups []RatingGroup, fewer bool, err error) {
	rows, err := s.pool.Query(ctx, `
		SELECT agency_code, max(agency_name), procedure_code, max(procedure_name), count(*)::int,
		       ARRAY[count(*) FILTER (WHERE stars = 1), count(*) FILTER (WHERE stars = 2), count(*) FILTER (WHERE stars = 3),
		             count(*) FILTER (WHERE stars = 4), count(*) FILTER (WHERE stars = 5)],
		       array_agg(comment ORDER BY id) FILTER (WHERE comment IS NOT NULL)
		FROM rating
		WHERE period = $1 AND ($2 = '' OR agency_code = $2) AND ($3 = '' OR procedure_code = $3)
		GROUP BY agency_code, CASE WHEN agency_code = '' THEN agency_name END,
		         procedure_code, CASE WHEN procedure_code = '' THEN procedure_name END
		ORDER BY count(*) DESC, agency_code, procedure_code`, period, agency, procedure)
	if err != nil {
		return nil, false, fmt.Errorf("report ratings: %w", err)
	}
	var g RatingGroup
	var stars []int64
	var comments [][]byte
	_, err = pgx.ForEachRow(rows, []any{
		&g.AgencyCode, &g.AgencyName, &g.ProcedureCode, &g.ProcedureName, &g.Count, &stars, &comments,
	}, func() error {
		if g.Count < RatingsShown {
			fewer = true
			return nil
		}
		shown := g
		for i, n := range stars {
			shown.Stars[i] = int(n)
		}
		for _, sealed := range comments {
			words, err := s.ring.Open(purposeComment, sealed)
			if err != nil {
				return err
			}
			shown.Comments = append(shown.Comments, string(words))
		}
		groups = append(groups, shown)
		return nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("report ratings: %w", err)
	}
	return groups, fewer, nil
}
