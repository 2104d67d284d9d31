package invoke

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowSink takes a while for each round.
type slowSink struct{ kept atomic.Int64 }

func (s *slowSink) PutLogs(_ context.Context, batches []LogBatch) error {
	time.Sleep(50 * time.Millisecond)
	for _, b := range batches {
		s.kept.Add(int64(len(b.Events)))
	}
	return nil
}

func TestSyncWaitsForTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &slowSink{}
		logs := NewLogs(sink, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- logs.Run(ctx) }()
		stream := &logStream{group: "g", name: "s"}
		for i := range 5 {
			logs.add(stream, LogEvent{time.Now(), "record"})
			logs.Sync(ctx)
			if got := sink.kept.Load(); got != int64(i+1) {
				t.Errorf("after Sync %d: the sink has %d records", i, got)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
