package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A load is what a closed loop of clients measured.
type load struct {
	requests  int
	elapsed   time.Duration
	latencies []time.Duration // sorted
}

func (l load) rate() float64 { return float64(l.requests) / l.elapsed.Seconds() }

// quantile returns the latency below which the share q of the requests stayed.
func (l load) quantile(q float64) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	return l.latencies[min(len(l.latencies)-1, int(q*float64(len(l.latencies))))]
}

// maxRequests bounds a run in count, whatever its time.
const maxRequests = 500_000

// drive sends GET requests to url from n clients, each one after the other over its own connection, for a
// time after a short warm-up. An answer other than 200 ends it.
func drive(ctx context.Context, url string, n int, lasts time.Duration) (load, error) {
	if _, err := driveOnce(ctx, url, n, lasts/4); err != nil {
		return load{}, err
	}
	return driveOnce(ctx, url, n, lasts)
}

func driveOnce(ctx context.Context, url string, n int, lasts time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	var mu sync.Mutex
	var all load
	var failed error
	var clients sync.WaitGroup
	start := time.Now()
	for range n {
		clients.Go(func() {
			latencies, err := client(ctx, url, maxRequests/n)
			mu.Lock()
			defer mu.Unlock()
			all.latencies = append(all.latencies, latencies...)
			if err != nil && failed == nil {
				failed = err
				cancel()
			}
		})
	}
	clients.Wait()
	all.elapsed = time.Since(start)
	all.requests = len(all.latencies)
	slices.Sort(all.latencies)
	return all, failed
}

// client sends one request after the other over one connection. It takes as little of the machine as it can, since what
// it measures shares the machine with it: no more than the bytes of a request, and http's own reading of the answer.
func client(ctx context.Context, url string, most int) (latencies []time.Duration, err error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	var message bytes.Buffer
	if err := req.Write(&message); err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for ctx.Err() == nil && len(latencies) < most {
		start := time.Now()
		if err := conn.SetDeadline(start.Add(stuck)); err != nil {
			return latencies, err
		}
		if _, err := conn.Write(message.Bytes()); err != nil {
			return latencies, err
		}
		resp, err := http.ReadResponse(answers, req)
		if err != nil {
			return latencies, err
		}
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			return latencies, fmt.Errorf("%s answered %s: %.200s", url, resp.Status, body)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(start))
	}
	return latencies, nil
}

// stuck is how long an answer may take before the run is given up.
const stuck = 30 * time.Second
