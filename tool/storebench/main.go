// Command storebench measures the store beside what it stands on, in one run on one machine, prints a table and
// writes it: go run ./tool/storebench -out docs/bench-store.md
//
// The sides of a comparison take turns, since the speed of a sync differs from machine to machine and from minute
// to minute: look at the ratios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	o := options{}
	out := flag.String("out", "", "Markdown file to write")
	only := flag.String("only", "", "run only the comparisons whose name contains this")
	flag.IntVar(&o.writers, "writers", 64, "writers at a time")
	flag.IntVar(&o.turns, "turns", 5, "turns of each side")
	flag.DurationVar(&o.turn, "turn", 3*time.Second, "length of a turn")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "storebench:", err)
		os.Exit(1)
	}
}

// options are the bench's settings.
type options struct {
	writers, turns int
	turn           time.Duration
}

// sizes of what is written.
const (
	valueSize = 1 << 10
	modified  = 100_000 // keys that are read and written again
)

func run(ctx context.Context, o options, only, out string) (err error) {
	work, err := os.MkdirTemp("", "lambent-storebench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	load, _ := os.ReadFile("/proc/loadavg") // elsewhere than on Linux nothing is said of it
	table := fmt.Sprintf("# The store\n\nMade by `go run ./tool/storebench -out docs/bench-store.md`: %d writers, values of %d bytes, %d turns of %v for each side;\n"+
		"the rate is the median of the turns. Load of the machine at the start: %s.\n\n"+
		"| what | lambent/s | beside it | its rate/s | ratio | wanted |\n|---|---|---|---|---|---|\n",
		o.writers, valueSize, o.turns, o.turn, strings.TrimSpace(string(load)))
	for _, c := range comparisons() {
		if !strings.Contains(c.name, only) {
			continue
		}
		fmt.Fprintln(os.Stderr, "storebench:", c.name)
		mine, other, err := c.measure(ctx, o, work)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		table += fmt.Sprintf("| %s | %.0f | %s | %.0f | %.2f | %s |\n", c.name, mine, c.beside, other, mine/other, c.wanted)
	}
	fmt.Print(table)
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(table), 0o644)
}

// comparison is two ways to do the same.
type comparison struct {
	name, beside, wanted string
	open                 func(ctx context.Context, o options, dir string) (mine, other side, close func() error, err error)
}

// side runs for about one turn and returns how many operations it did in a second.
type side func(ctx context.Context) (float64, error)

func (c comparison) measure(ctx context.Context, o options, work string) (mine, other float64, err error) {
	dir, err := os.MkdirTemp(work, "")
	if err != nil {
		return 0, 0, err
	}
	a, b, closeAll, err := c.open(ctx, o, dir)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	var rates [2][]float64
	for range o.turns {
		for i, s := range []side{a, b} {
			rate, err := s(ctx)
			if err != nil {
				return 0, 0, err
			}
			rates[i] = append(rates[i], rate)
		}
	}
	return median(rates[0]), median(rates[1]), nil
}
