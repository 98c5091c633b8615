package group

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

func TestCallsThatArriveTogetherShareWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batches [][]int
		release := make(chan struct{})
		g := New(1, 10, func(_ context.Context, items []int) []error {
			batches = append(batches, append([]int(nil), items...))
			<-release
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		go g.Run(ctx)
		var wg sync.WaitGroup
		send := func(i int) {
			wg.Go(func() {
				if err := g.Do(ctx, i); err != nil {
					t.Errorf("item %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		send(0) // taken at once, alone
		for i := 1; i <= 5; i++ {
			send(i) // gather while the first is worked on
		}
		close(release)
		wg.Wait()
		if len(batches) != 2 || len(batches[0]) != 1 || len(batches[1]) != 5 {
			t.Errorf("batches = %v, want one of 1 and one of 5", batches)
		}
		cancel()
		synctest.Wait()
		if err := g.Do(t.Context(), 9); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v, want ErrStopped", err)
		}
	})
}

func TestEachCallGetsItsOwnError(t *testing.T) {
	odd := errors.New("odd")
	g := New(2, 4, func(_ context.Context, items []int) []error {
		errs := make([]error, len(items))
		for i, n := range items {
			if n%2 == 1 {
				errs[i] = odd
			}
		}
		return errs
	})
	go g.Run(t.Context())
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if err := g.Do(t.Context(), i); (err != nil) != (i%2 == 1) {
				t.Errorf("item %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}
