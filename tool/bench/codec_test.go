package main

import "testing"

func TestFigure(t *testing.T) {
	const out = `goos: linux
BenchmarkKilobyte/gateway-2         	  204597	     11756 ns/op	        12.89 cpu-µs/op	   11259 B/op	     104 allocs/op
BenchmarkKilobyte/gateway-2         	  216394	     11173 ns/op	        12.26 cpu-µs/op	   11259 B/op	     104 allocs/op
BenchmarkKilobyte/gateway-2         	  216394	     11173 ns/op	        14.00 cpu-µs/op	   11259 B/op	     104 allocs/op
BenchmarkKilobyte/gateway-other-2   	  216394	         1 ns/op	         1 cpu-µs/op
PASS`
	if got, err := figure(out, "BenchmarkKilobyte/gateway", "cpu-µs/op"); err != nil || got != 12.89 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := figure(out, "BenchmarkKilobyte/net-http", "cpu-µs/op"); err == nil {
		t.Errorf("%v of nothing", got)
	}
}
