// Package group lets calls that arrive together share one piece of work, as a
// database shares one flush among commits.
//
// Nothing waits for company: a worker that is free takes at once what is there,
// and while it works the next batch gathers. Under load batches grow by
// themselves; a lone call pays nothing.
package group

import (
	"context"
	"errors"
)

// ErrStopped is returned for calls after Run has ended.
var ErrStopped = errors.New("group has stopped")

// Group hands items to do in batches.
type Group[T any] struct {
	queue   chan call[T]
	do      func(ctx context.Context, items []T) []error
	workers int
	max     int
	stopped chan struct{}
}

type call[T any] struct {
	item T
	done chan error
}

// New returns a group whose workers call do with up to max items each. do
// returns one error per item, or nil when all went well.
func New[T any](workers, max int, do func(ctx context.Context, items []T) []error) *Group[T] {
	return &Group[T]{
		queue: make(chan call[T], 4*max), do: do, workers: workers, max: max,
		stopped: make(chan struct{}),
	}
}

// Do waits until item was worked on, or ctx ends: the item may then still be
// worked on.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	c := call[T]{item: item, done: make(chan error, 1)}
	select {
	case g.queue <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-g.stopped:
		return ErrStopped
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-g.stopped:
		select { // it may have been done just before the end
		case err := <-c.done:
			return err
		default:
			return ErrStopped
		}
	}
}

// Run works until ctx ends. Batches in hand are finished with a context that
// does not end with ctx.
func (g *Group[T]) Run(ctx context.Context) error {
	finished := make(chan struct{}, g.workers)
	for range g.workers {
		go func() {
			g.work(ctx)
			finished <- struct{}{}
		}()
	}
	for range g.workers {
		<-finished
	}
	close(g.stopped)
	return nil
}

func (g *Group[T]) work(ctx context.Context) {
	calls := make([]call[T], 0, g.max)
	items := make([]T, 0, g.max)
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-g.queue:
			calls, items = append(calls[:0], c), append(items[:0], c.item)
		}
		for len(calls) < g.max && len(g.queue) > 0 {
			select {
			case c := <-g.queue:
				calls, items = append(calls, c), append(items, c.item)
			default:
			}
		}
		errs := g.do(context.WithoutCancel(ctx), items)
		for i, c := range calls {
			if errs == nil {
				c.done <- nil
			} else {
				c.done <- errs[i]
			}
		}
		clear(calls)
		clear(items)
	}
}
