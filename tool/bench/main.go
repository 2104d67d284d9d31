// Command bench measures a lambent binary and its peers in one run on one machine, prints a table and
// writes it: go run ./tool/bench -out docs/bench.md
//
// It starts what it measures on loopback, bounds its loads in count and time, and ends what it started.
// Machines differ and are noisy: the ratios and medians are what to look at.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// options are the bench's settings.
type options struct {
	root    string        // the module's folder
	out     string        // file to write, "" for none
	clients int           // of the loaded runs
	seconds time.Duration // of each loaded run
	rounds  int           // of what is measured once a round
}

func main() {
	o := options{root: "."}
	flag.StringVar(&o.out, "out", "", "Markdown file to write")
	flag.IntVar(&o.clients, "clients", 16, "clients of the loaded runs")
	flag.DurationVar(&o.seconds, "time", 8*time.Second, "length of each loaded run")
	flag.IntVar(&o.rounds, "rounds", 9, "rounds of what is measured once a round")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	work, err := os.MkdirTemp("", "lambent-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	busy, _ := os.ReadFile("/proc/loadavg") // elsewhere than on Linux nothing is said of it
	b := &bench{options: o, work: work, busy: string(busy), binary: filepath.Join(work, "lambent")}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"building", b.build},
		{"a signed request of 1 KB, without a socket", b.measureCodec},
		{"start, memory, exec --fresh", b.measureStart},
		{"restart after kill -9", b.measureRestart},
		{"warm calls over HTTP, and serverless-offline, the peer", b.measureWarm},
		{"cold calls", b.measureCold},
		{"serverless deploy", b.measureDeploy},
	} {
		fmt.Fprintln(os.Stderr, "bench:", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	table := b.markdown()
	fmt.Print(table)
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(table), 0o644)
}
