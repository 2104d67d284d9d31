package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// measureCodec runs the benchmarks of a signed request with 1 KB of JSON, without a socket, and of what Go's own
// parts take for the same body. Processor time counts, of all threads: client and server share the machine elsewhere.
func (b *bench) measureCodec(ctx context.Context) error {
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^(BenchmarkKilobyte|BenchmarkPutItem)$", "-p", "1", "-count", "5", "-benchtime", "0.5s", "./gateway", "./wire/boto")
	c.Dir = b.root
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, r := range []struct{ benchmark, what, goal string }{
		{"Kilobyte/gateway", "signed request with 1 KB of JSON: gateway, signature and codec together, processor time", "≤ 40 µs"},
		{"Kilobyte/encoding-json", "encoding/json alone for the same body, processor time", ""},
		{"Kilobyte/net-http", "bare net/http with the same body, client and server, processor time", ""},
		{"PutItem/by-hand", "a PutItem of 1 KB decoded, the item as a slice of tagged values", ""},
		{"PutItem/direct", "a PutItem of 1 KB decoded, direct code", ""},
		{"PutItem/plan", "a PutItem of 1 KB decoded, plan", ""},
		{"PutItem/encoding-json", "a PutItem of 1 KB decoded, encoding/json", ""},
	} {
		v, err := figure(string(out), "Benchmark"+r.benchmark, "cpu-µs/op")
		if err != nil {
			return err
		}
		b.add(r.what, r.goal, "%.1f µs", v)
	}
	return nil
}

// figure returns the median of what a benchmark reported in the unit.
func figure(out, benchmark, unit string) (float64, error) {
	var all []float64
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) == 0 || !strings.HasPrefix(words[0], benchmark+"-") && words[0] != benchmark {
			continue
		}
		if i := slices.Index(words, unit); i > 0 {
			if v, err := strconv.ParseFloat(words[i-1], 64); err == nil {
				all = append(all, v)
			}
		}
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("%s reported no %s", benchmark, unit)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
