package app

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		gap  time.Duration
		live uint64
		want int
	}{
		{time.Minute, 5 << 20, 50},
		{time.Millisecond, 0, 800},
		{time.Millisecond, 4 << 20, 800},
		{time.Millisecond, 8 << 20, 400},
		{time.Millisecond, 32 << 20, 100},
		{time.Millisecond, 1 << 30, 50},
	} {
		if got := pace(tt.gap, tt.live); got != tt.want {
			t.Errorf("pace(%v, %d) = %d, want %d", tt.gap, tt.live, got, tt.want)
		}
	}
}

// TestReleaseProgram: the program goes on without the pages of its file, which come back when they are needed.
func TestReleaseProgram(t *testing.T) {
	resident := func() (kb int) {
		b, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "RssFile:")
		if _, err := fmt.Sscan(rest, &kb); err != nil {
			t.Fatal(err)
		}
		return kb
	}
	before := resident()
	released, err := releaseProgram()
	if err != nil {
		t.Fatal(err)
	}
	if after := resident(); released < 1<<20 || after > before*3/4 {
		t.Errorf("%d bytes of address space: %d KB of files are resident, %d before", released, after, before)
	}
}
