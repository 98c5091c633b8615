// Command congdanso is the backend of a province's Zalo Official Account. It
// holds the subcommands and the wiring, and nothing else: what the channel does
// stands in bot, flows and integrations.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // a slim image has no zones, and people live in one
)

// command is one subcommand.
type command struct {
	name, about string
	run         func(ctx context.Context, p *program, args []string) error
}

// commands in the order in which help lists them.
func commands() []command {
	return []command{
		{"dev", "everything on one machine, with stand-ins for Zalo and the procedure system", cmdDev},
		{"chat", "talk to the bot in the terminal", cmdChat},
		{"serve", "the server (--roles web,worker,jobs)", cmdServe},
		{"migrate", "bring the database's schema up to date", cmdMigrate},
		{"check", "validate settings and content; --live also asks Zalo and the procedure system", cmdCheck},
		{"resume", "send again after a failover or restore; --erased FILE re-applies erasures", cmdResume},
		{"dead-letters", "list events that could not be turned; --retry ID tries one again", cmdDeadLetters},
		{"settings", "what can be changed while the server runs: get [NAME], set NAME VALUE", cmdSettings},
		{"audit", "verify that nobody altered what was written down", cmdAudit},
		{"broadcast", "list; plan, show, pause, resume, cancel or report ID", cmdBroadcast},
		{"notices", "stats: how many notices went, and what became of them", cmdNotices},
		{"followers", "import: make known who follows the account already, with spare rate", cmdFollowers},
		{"understand", "how the sentences of a CSV file (text,intent) are understood", cmdUnderstand},
		{"version", "print the version", cmdVersion},
		{"help", "print this", nil},
	}
}

// program is what a subcommand works with, so that tests can start it whole.
type program struct {
	vars           map[string]string // the environment
	stdin          io.Reader
	stdout, stderr io.Writer
}

// errUsage marks errors of the command line: exit code 2.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &program{vars: environment(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	err := p.main(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "congdanso:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "congdanso:", err)
		os.Exit(1)
	}
}

func (p *program) main(ctx context.Context, args []string) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		p.help()
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, p, args[1:])
		}
	}
	return fmt.Errorf("%w: there is no command %q; `congdanso help` lists them", errUsage, args[0])
}

func (p *program) help() {
	fmt.Fprintln(p.stdout, "congdanso is the backend of a province's Zalo Official Account.\n\nUsage: congdanso COMMAND [OPTIONS]")
	fmt.Fprintln(p.stdout)
	for _, c := range commands() {
		fmt.Fprintf(p.stdout, "  %-13s %s\n", c.name, c.about)
	}
	fmt.Fprintln(p.stdout, "\nSettings come from the environment; see README.md.")
}

func cmdVersion(_ context.Context, p *program, _ []string) error {
	fmt.Fprintln(p.stdout, "congdanso", version())
	return nil
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	var revision string
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value[:min(12, len(s.Value))]
		}
	}
	return strings.TrimSpace("devel " + revision)
}
