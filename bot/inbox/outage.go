package inbox

import (
	"context"
	"fmt"
	"time"
)

// noteRefused remembers the first delivery that was refused and not yet written
// down: reconciling starts there.
func (in *Inbox) noteRefused(at time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refused.IsZero() || at.Before(in.refused) {
		in.refused = at
	}
}

// WriteRefused writes down since when deliveries were refused, once Postgres is
// back. It does nothing when none was.
func (in *Inbox) WriteRefused(ctx context.Context) error {
	in.mu.Lock()
	since := in.refused
	in.mu.Unlock()
	if since.IsZero() {
		return nil
	}
	_, err := in.pool.Exec(ctx, `
UPDATE installation SET refused_since = least(refused_since, $1::timestamptz)`, since)
	if err != nil {
		return fmt.Errorf("write down refused deliveries: %w", err)
	}
	in.mu.Lock()
	if in.refused.Equal(since) {
		in.refused = time.Time{}
	}
	in.mu.Unlock()
	return nil
}
