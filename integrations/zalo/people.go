package zalo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"congdanso/bot/delivery"
)

// MaxUsers is the most that Users returns at once; MaxUsersOffset is where the
// last such page of a list begins. A longer list must be cut by tag or period.
const (
	MaxUsers       = 50
	MaxUsersOffset = 9951
)

// UserQuery says whom to list.
type UserQuery struct {
	Offset int
	Count  int // at most MaxUsers; 0 means that many
	// Period of the last interaction: TODAY, YESTERDAY, L7D, L30D, or two days as
	// 2026_11_01:2026_11_23. Empty: any.
	Period    string
	Followers *bool  // only those who do, or do not, follow; nil: both
	Tag       string // only those who bear it
}

// Users lists ids of people known to the account, and how many there are in all.
// An error is a *delivery.Refusal.
func (c *Client) Users(ctx context.Context, q UserQuery) (ids []string, total int, err error) {
	if q.Count = cmp.Or(q.Count, MaxUsers); q.Count < 1 || q.Count > MaxUsers || q.Offset < 0 || q.Offset > MaxUsersOffset {
		err := fmt.Errorf("%d people from %d on, at most %d from %d", q.Count, q.Offset, MaxUsers, MaxUsersOffset)
		return nil, 0, &delivery.Refusal{Class: delivery.ClassDrop, Err: err}
	}
	data := struct {
		Offset    int    `json:"offset"`
		Count     int    `json:"count"`
		Tag       string `json:"tag_name,omitempty"`
		Period    string `json:"last_interaction_period,omitempty"`
		Followers string `json:"is_follower,omitempty"` // a text, not a truth value
	}{Offset: q.Offset, Count: q.Count, Tag: q.Tag, Period: q.Period}
	if q.Followers != nil {
		data.Followers = strconv.FormatBool(*q.Followers)
	}
	query, err := json.Marshal(data)
	if err != nil {
		return nil, 0, &delivery.Refusal{Class: delivery.ClassDrop, Err: fmt.Errorf("encode query: %w", err)}
	}
	var env envelope[struct {
		Total number `json:"total"`
		Users []struct {
			ID text `json:"user_id"`
		} `json:"users"`
	}]
	if ref := c.call(ctx, request{path: pathUsers, query: string(query)}, &env); ref != nil {
		return nil, 0, ref
	}
	for _, u := range env.Data.Users {
		ids = append(ids, string(u.ID))
	}
	return ids, int(env.Data.Total), nil
}

// OAQuota is one quota of the account's consultation messages beyond 48 hours.
type OAQuota struct {
	AssetID      string
	Type         string // sub_quota (of the package), purchase_quota, reward_quota
	Remain       int
	Total        int
	ValidThrough string // its last day, DD/MM/YYYY
}

// QuotaOA reads what is left of the account's consultation messages. An error is
// a *delivery.Refusal.
func (c *Client) QuotaOA(ctx context.Context) ([]OAQuota, error) {
	var env envelope[[]struct {
		AssetID text   `json:"asset_id"`
		Type    text   `json:"quota_type"`
		Remain  number `json:"remain"`
		Total   number `json:"total"`
		Valid   text   `json:"valid_through"`
	}]
	body := []byte(`{"quota_owner":"OA","product_type":"cs"}`)
	if ref := c.call(ctx, request{path: pathQuota, body: body}, &env); ref != nil {
		return nil, ref
	}
	quotas := make([]OAQuota, len(env.Data))
	for i, q := range env.Data {
		quotas[i] = OAQuota{AssetID: string(q.AssetID), Type: string(q.Type), Remain: int(q.Remain), Total: int(q.Total), ValidThrough: string(q.Valid)}
	}
	return quotas, nil
}
