package dossier

import (
	"context"
	"sync"
	"time"
)

const (
	seenQueue = 1024
	seenBatch = 256
	seenEvery = time.Second
)

// noticed hands a public state to Run. A full queue drops it: losing one costs
// an older last known state, no more.
func (s *Service) noticed(code Code, p Public, at time.Time) {
	select {
	case s.seen <- seen{code, p, at}:
	default:
	}
}

// Run writes last known states until ctx ends, at most once a second, so that no
// look-up waits for it; and lets look-ups that come together share a statement.
func (s *Service) Run(ctx context.Context) error {
	var sharing sync.WaitGroup
	defer sharing.Wait()
	sharing.Go(func() { s.store.shareStandings(ctx) })
	tick := time.NewTicker(seenEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "last known states not written", "err", err)
			}
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return s.Flush(ctx)
		}
	}
}

// Flush writes the states seen so far.
func (s *Service) Flush(ctx context.Context) error {
	for {
		var states []seen
	gather:
		for len(states) < seenBatch {
			select {
			case st := <-s.seen:
				states = append(states, st)
			default:
				break gather
			}
		}
		if len(states) == 0 {
			return nil
		}
		if err := s.store.remember(ctx, states); err != nil {
			return err
		}
	}
}
