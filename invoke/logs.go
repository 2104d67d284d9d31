package invoke

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A LogEvent is one record of a function's log.
type LogEvent struct {
	Time    time.Time
	Message string
}

// A LogBatch is records for one log stream, in order.
type LogBatch struct {
	Account, Region string
	Group, Stream   string
	Events          []LogEvent
}

// A LogSink keeps what functions log. It makes groups and streams that are missing.
type LogSink interface {
	PutLogs(ctx context.Context, batches []LogBatch) error
}

// Bounds of what waits for the sink. Beyond them records are dropped, and the log says how many: a function that
// writes faster than the disk must hold up neither itself nor others.
const (
	maxStreamWait = 4 << 20
	maxLogsWait   = 32 << 20
	maxPutBytes   = 1 << 20
	maxRecord     = 256 << 10 // as in CloudWatch Logs

	// logLinger gathers what comes close together into one write.
	logLinger  = 20 * time.Millisecond
	logRetries = 5
)

// Logs carries the records of all sandboxes to the sink: in batches, in order for each stream, off the path of
// invocations.
type Logs struct {
	sink LogSink
	log  *slog.Logger // hears of what was lost
	wake chan struct{}

	mu      sync.Mutex
	dirty   []*logStream
	bytes   int
	lost    uint64          // records, since the start
	waiters []chan struct{} // of Sync
}

// NewLogs returns the way to sink. Nothing reaches it until Run runs; log hears of what it does not take.
func NewLogs(sink LogSink, log *slog.Logger) *Logs {
	return &Logs{sink: sink, log: log, wake: make(chan struct{}, 1)}
}

// A logStream is the log of one sandbox as one function. Its fields are guarded by Logs.mu.
type logStream struct {
	account, region, group, name string

	events []LogEvent
	bytes  int
	lost   int
	queued bool
}

func (l *Logs) add(s *logStream, events ...LogEvent) {
	l.mu.Lock()
	for _, e := range events {
		if s.bytes > maxStreamWait || l.bytes > maxLogsWait {
			s.lost++
			l.lost++
			continue
		}
		n := len(e.Message) + 64
		s.events, s.bytes, l.bytes = append(s.events, e), s.bytes+n, l.bytes+n
	}
	if !s.queued {
		s.queued = true
		l.dirty = append(l.dirty, s)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Sync returns when the records that came before it are with the sink, or ctx ends.
func (l *Logs) Sync(ctx context.Context) {
	done := make(chan struct{})
	l.mu.Lock()
	l.waiters = append(l.waiters, done)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Run writes to the sink until ctx ends, then writes what is left.
func (l *Logs) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			l.flush(last)
			return nil
		case <-l.wake:
		}
		select {
		case <-ctx.Done():
		case <-time.After(logLinger):
		}
		if ctx.Err() == nil {
			l.flush(ctx)
		}
	}
}

func (l *Logs) flush(ctx context.Context) {
	l.mu.Lock()
	waiters := l.waiters
	l.waiters = nil
	l.mu.Unlock()
	for {
		batches := l.take()
		if len(batches) == 0 {
			break
		}
		l.put(ctx, batches)
	}
	for _, w := range waiters {
		close(w)
	}
}

// put tries a few times: a busy store is no reason to lose a log. What the sink refuses for good is dropped.
func (l *Logs) put(ctx context.Context, batches []LogBatch) {
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		err := l.sink.PutLogs(ctx, batches)
		if err == nil {
			return
		}
		if try == logRetries || ctx.Err() != nil {
			l.mu.Lock()
			for _, b := range batches {
				l.lost += uint64(len(b.Events))
			}
			l.mu.Unlock()
			l.log.Error("logs of functions lost", "streams", len(batches), "first", batches[0].Group, "error", err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// take removes up to maxPutBytes of what waits.
func (l *Logs) take() []LogBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batches []LogBatch
	size := 0
	for len(l.dirty) > 0 && size < maxPutBytes {
		s := l.dirty[0]
		n, bytes := s.upTo(maxPutBytes - size)
		b := LogBatch{s.account, s.region, s.group, s.name, s.events[:n:n]}
		s.events, s.bytes, l.bytes, size = s.events[n:], s.bytes-bytes, l.bytes-bytes, size+bytes
		if len(s.events) == 0 {
			if s.lost > 0 {
				message := fmt.Sprintf("[lambent] %d log records were lost: more was written than could be stored\n", s.lost)
				b.Events = append(b.Events, LogEvent{time.Now(), message})
			}
			s.events, s.lost, s.queued = nil, 0, false
			l.dirty = l.dirty[1:]
		}
		if len(b.Events) > 0 {
			batches = append(batches, b)
		}
	}
	return batches
}

// upTo counts the first events that fit into limit bytes, at least one.
func (s *logStream) upTo(limit int) (n, bytes int) {
	for _, e := range s.events {
		size := len(e.Message) + 64
		if n > 0 && bytes+size > limit {
			break
		}
		n, bytes = n+1, bytes+size
	}
	return n, bytes
}
