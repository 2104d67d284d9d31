package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A contender answers warm calls over HTTP.
type contender struct {
	name, goal string // goal of one client's latency
	url        string
	loads      []load
}

// contest is how often every contender has its turn at load. The turns take each other's place every few seconds, so
// that what else the machine does meets all of them; a contender's rate is the median of its turns.
const contest = 5

// measureWarm has Lambent's Node and Python functions and serverless-offline's Node one answer in turns.
func (b *bench) measureWarm(ctx context.Context) error {
	c, err := b.start(ctx, filepath.Join(b.work, "warm"))
	if err != nil {
		return err
	}
	defer c.stop()
	url, err := b.deploy(ctx, c)
	if err != nil {
		return err
	}
	peer, stop, err := b.startPeer(ctx)
	if err != nil {
		return fmt.Errorf("serverless-offline: %w", err)
	}
	defer stop()
	node := &contender{name: "node", goal: "≤ 1 ms", url: url + "node"}
	python := &contender{name: "python", goal: "≤ 1 ms", url: url + "python"}
	offline := &contender{name: "serverless-offline 13.9, node", url: peer}
	all := []*contender{offline, node, python}
	for _, x := range all { // to warm all of its sandboxes
		if _, err := driveOnce(ctx, x.url, b.clients, b.seconds/4); err != nil {
			return err
		}
	}
	for range contest {
		for _, x := range all {
			l, err := driveOnce(ctx, x.url, b.clients, b.seconds/2)
			if err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
			x.loads = append(x.loads, l)
		}
	}
	peers := offline.turn(contest - 1) // it grows slower with the requests that it has served: its best turn counts
	for _, x := range all {
		one, err := drive(ctx, x.url, 1, b.seconds/2)
		if err != nil {
			return err
		}
		b.add("warm HTTP call, "+x.name+", 1 client, p50 (p99)", x.goal, "%s (%s)", ms(one.quantile(0.5)), ms(one.quantile(0.99)))
		l := x.turn(contest / 2)
		b.add(fmt.Sprintf("warm HTTP calls, %s, %d clients, median of %d turns", x.name, b.clients, contest), "",
			"%.0f/s, p50 %s, p99 %s", l.rate(), ms(l.quantile(0.5)), ms(l.quantile(0.99)))
	}
	b.add("the best turn of serverless-offline", "", "%.0f/s", peers.rate())
	b.add("Node through lambent (median) against serverless-offline (best), at load", "≥ 2 ×", "%.2f ×", node.turn(contest/2).rate()/peers.rate())
	b.add("Python through lambent (median) against serverless-offline's Node (best), at load", "≥ 3 ×", "%.2f ×", python.turn(contest/2).rate()/peers.rate())
	return nil
}

// turn returns the nth turn by rate, the slowest first.
func (x *contender) turn(n int) load {
	return slices.SortedFunc(slices.Values(x.loads), func(a, b load) int { return cmp.Compare(a.rate(), b.rate()) })[n]
}

// startPeer runs the same handler under serverless-offline. stop ends it.
func (b *bench) startPeer(ctx context.Context) (url string, stop func(), err error) {
	if err := b.installPeers(ctx); err != nil {
		return "", nil, err
	}
	project := filepath.Join(b.work, "offline")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return "", nil, err
	}
	files := map[string]string{
		"index.js":       nodeCode,
		"serverless.yml": "service: offline\nprovider: {name: aws, runtime: nodejs20.x}\nplugins: [serverless-offline]\nfunctions: {node: {handler: index.handler, events: [{http: {path: node, method: get}}]}}\n",
		"package.json":   "{}",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o644); err != nil {
			return "", nil, err
		}
	}
	if err := os.Symlink(b.tools("peers", "node_modules"), filepath.Join(project, "node_modules")); err != nil {
		return "", nil, err
	}
	const port, other = "39871", "39872"
	cmd := exec.Command("node", "node_modules/serverless/bin/serverless.js", "offline", "--httpPort", port, "--lambdaPort", other, "--host", "127.0.0.1", "--noPrependStageInUrl")
	cmd.Dir = project
	cmd.Env = append(os.Environ(), "SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	url = "http://127.0.0.1:" + port + "/node"
	if err := waitFor(ctx, url, time.Minute); err != nil {
		stop()
		return "", nil, err
	}
	return url, stop, nil
}

func (b *bench) installPeers(ctx context.Context) error {
	dir := b.tools("peers")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "serverless-offline")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(b.root, "tool", "bench", "peers", "package.json"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), want, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func waitFor(ctx context.Context, url string, most time.Duration) error {
	deadline := time.Now().Add(most)
	for {
		resp, err := http.Get(url)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
