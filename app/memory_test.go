package app

import (
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
