package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"congdanso/bot/staff"
)

// cmdAudit verifies that nobody altered what was written down.
func cmdAudit(ctx context.Context, p *program, args []string) error {
	if len(args) != 1 || args[0] != "verify" {
		return fmt.Errorf("%w: congdanso audit verify", errUsage)
	}
	cfg, pool, keys, err := p.unlock(ctx, "audit")
	if err != nil {
		return err
	}
	defer pool.Close()
	accounts := staff.NewStore(pool, keys, time.Now)
	rows, err := accounts.Verify(ctx)
	var broken *staff.Broken
	if errors.As(err, &broken) {
		return fmt.Errorf("%d entries fit, then no more: %w", rows, err)
	}
	if err != nil {
		return err
	}
	head, ok, err := accounts.Head(ctx)
	if err != nil {
		return err
	}
	if !ok {
		fmt.Fprintln(p.stdout, "The audit is empty.")
		return nil
	}
	fmt.Fprintf(p.stdout, "All %d entries fit. The newest is number %d of %s, hash %x: compare it with audit_head in the log.\n",
		rows, head.Seq, head.At.In(cfg.tz).Format("2006-01-02 15:04:05"), head.Hash)
	return nil
}
