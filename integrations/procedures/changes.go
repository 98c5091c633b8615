package procedures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"congdanso/bot/dossier"
)

// changesPerPage is how many changes are asked for at once.
const changesPerPage = 100

// wireTime is the form of moments that iGate reads: a zone without colon.
const wireTime = "2006-01-02T15:04:05.000-0700"

// wireChange is the part of a listed dossier that tells of a change.
type wireChange struct {
	Code        flexString `json:"code"`
	NationCode  flexString `json:"nationCode"`
	UpdatedDate moment     `json:"updatedDate"`
}

// Changes returns a page, from 0, of the dossiers changed since then, newest
// first, and whether there is another page. The list moves while it is read: what
// changes in between appears on a page already read, so who polls asks again from
// a little before the moment of its last first page. The error is
// dossier.ErrNoChanges where the system has no such list, or not for us, else
// *dossier.Unavailable; neither opens the breaker of look-ups.
func (c *Client) Changes(ctx context.Context, since time.Time, page int) (codes []dossier.Change, more bool, err error) {
	since = since.Truncate(time.Millisecond)
	body, err := c.getBeside(ctx, "/pa/dossier/search", url.Values{
		"updated-from": {since.UTC().Format(wireTime)}, "spec": {"slice"}, "sort": {"updatedDate,desc"},
		"page": {strconv.Itoa(page)}, "size": {strconv.Itoa(changesPerPage)},
	})
	if err != nil {
		return nil, false, err
	}
	found, err := decodeSlice[wireChange](body)
	if err != nil {
		return nil, false, unavailable(fmt.Errorf("decode changes: %w", err))
	}
	var where struct {
		Number flexString `json:"number"`
		Last   flexString `json:"last"`
	}
	_ = json.Unmarshal(body, &where) // a bare array says neither
	if where.Number != "" && where.Number.number() != int64(page) {
		// An installation that does not page would be read in circles.
		return nil, false, unavailable(errors.New("another page of changes than asked for"))
	}
	more = len(found) > 0 && (where.Last == "false" || where.Last == "" && where.Number != "" && len(found) >= changesPerPage)
	for _, w := range found {
		ch := dossier.Change{Code: codeOf(w.Code), NationCode: codeOf(w.NationCode), UpdatedAt: w.UpdatedDate.time()}
		if !ch.UpdatedAt.IsZero() && ch.UpdatedAt.Before(since) {
			more = false // the system does not heed updated-from: from here on all is older
			continue
		}
		if ch.Code != "" || ch.NationCode != "" {
			codes = append(codes, ch)
		}
	}
	return codes, more, nil
}
