package dossier

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"congdanso/bot"

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

// rate keeps ratings: the stars once, and words beside them once, of each person
// and dossier. What is rated, agency and procedure, is read from the last known
// state: a turn has no say in it.
func (b *batch) rate(ctx context.Context, tx pgx.Tx) error {
	for _, a := range b.ratings {
		if err := b.s.rateOne(ctx, tx, a.Citizen, a.Effect.(Rate), Period(a.At)); err != nil {
			return fmt.Errorf("rate: %w", err)
		}
	}
	return nil
}

func (s *Store) rateOne(ctx context.Context, tx pgx.Tx, who bot.CitizenID, e Rate, period time.Time) error {
	if e.Stars < 1 || e.Stars > 5 || utf8.RuneCountInString(e.Comment) > MaxComment {
		return fmt.Errorf("%d stars, a comment of %d bytes", e.Stars, len(e.Comment))
	}
	var public []byte
	var first bool
	err := tx.QueryRow(ctx, `
		WITH given AS (
			INSERT INTO rating_given AS g (oa_id, citizen, code_hash, period, commented)
			SELECT $1, $2, code_hash, $4, $5 FROM dossier_known WHERE code_hash = $3
			ON CONFLICT (oa_id, citizen, code_hash) DO UPDATE SET commented = true WHERE $5 AND NOT g.commented
			RETURNING xmax = 0 AS first)
		SELECT given.first, n.public FROM given, dossier_known n WHERE n.code_hash = $3`,
		who.OA, who.User, s.codeHash(e.Code), period, e.Comment != "").Scan(&first, &public)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // given before, or of a dossier nobody has seen
	}
	if err != nil {
		return err
	}
	v, err := s.openKnown(public, time.Time{})
	if err != nil {
		return err
	}
	of := []any{period, v.AgencyCode, v.AgencyName, v.ProcedureCode, v.ProcedureName, e.Stars}
	if first {
		_, err = tx.Exec(ctx, `
			INSERT INTO rating (period, agency_code, agency_name, procedure_code, procedure_name, stars)
			VALUES ($1, $2, $3, $4, $5, $6)`, of...)
		if err != nil {
			return err
		}
	}
	if e.Comment == "" {
		return nil
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO rating_comment (period, agency_code, agency_name, procedure_code, procedure_name, stars, comment)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, append(of, s.ring.Seal(purposeComment, []byte(e.Comment)))...)
	return err
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
		WITH said AS (
			SELECT NULL::uuid AS id, agency_code, agency_name, procedure_code, procedure_name, stars, NULL::bytea AS comment
			FROM rating WHERE period = $1
			UNION ALL
			SELECT id, agency_code, agency_name, procedure_code, procedure_name, NULL, comment
			FROM rating_comment WHERE period = $1)
		SELECT agency_code, max(agency_name), procedure_code, max(procedure_name), count(stars)::int,
		       ARRAY[count(*) FILTER (WHERE stars = 1), count(*) FILTER (WHERE stars = 2), count(*) FILTER (WHERE stars = 3),
		             count(*) FILTER (WHERE stars = 4), count(*) FILTER (WHERE stars = 5)],
		       array_agg(comment ORDER BY id) FILTER (WHERE comment IS NOT NULL)
		FROM said
		WHERE ($2 = '' OR agency_code = $2) AND ($3 = '' OR procedure_code = $3)
		GROUP BY agency_code, CASE WHEN agency_code = '' THEN agency_name END,
		         procedure_code, CASE WHEN procedure_code = '' THEN procedure_name END
		ORDER BY count(stars) DESC, agency_code, procedure_code`, period, agency, procedure)
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
