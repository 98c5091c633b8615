package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var errStopping = errors.New("stopping")

// stage is a group of long-lived things that stop together.
type stage struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	errs   chan error
}

func newStage(base context.Context) *stage {
	ctx, cancel := context.WithCancel(base)
	return &stage{ctx: ctx, cancel: cancel, errs: make(chan error, 16)}
}

// run starts one of them. One that ends with an error brings the server down.
func (s *stage) run(name string, run func(context.Context) error) {
	s.wg.Go(func() {
		if err := run(s.ctx); err != nil && s.ctx.Err() == nil {
			s.errs <- fmt.Errorf("%s: %w", name, err)
		}
	})
}

// stop ends the stage and waits for it, at most until ctx ends.
func (s *stage) stop(ctx context.Context) error {
	s.cancel()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.New("something did not stop in time; what it held is taken over when its leases lapse")
	}
}

// firstError tells the first failure of any stage.
func firstError(stages ...*stage) <-chan error {
	first := make(chan error, len(stages))
	for _, s := range stages {
		go func() {
			select {
			case err := <-s.errs:
				first <- err
			case <-s.ctx.Done():
			}
		}()
	}
	return first
}
