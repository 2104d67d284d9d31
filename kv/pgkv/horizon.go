package pgkv

import (
	"context"
	"sync"
	"time"
)

// horizons asks the server which transactions are in progress, once for all who ask at the same time: every reader of
// every stream does, again and again.
type horizons struct {
	asking chan struct{} // has an element while a question is under way

	mu   sync.Mutex // guards next
	next *horizon   // what those who come now will be told; its question was not sent yet
}

// horizon is one answer.
type horizon struct {
	low  uint64 // the oldest transaction id in progress
	next uint64 // the next one to be given out
	err  error
	told chan struct{} // closed when the fields above are set
}

// horizon returns an answer to a question that was sent after the call.
func (e *Engine) horizon(ctx context.Context) (low, next uint64, err error) {
	h, first := e.horizons.join()
	if first {
		e.answer(h)
	}
	select {
	case <-h.told:
		return h.low, h.next, h.err
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
}

func (hs *horizons) join() (h *horizon, first bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.next == nil {
		hs.next, first = &horizon{told: make(chan struct{})}, true
	}
	return hs.next, first
}

// answer waits for the question under way, and asks for those who have come meanwhile. The caller's context does not
// count: the others wait for the answer as well.
func (e *Engine) answer(h *horizon) {
	e.horizons.asking <- struct{}{}
	defer func() { <-e.horizons.asking }()
	e.horizons.mu.Lock()
	e.horizons.next = nil
	e.horizons.mu.Unlock()
	defer close(h.told)
	ctx := context.Background()
	c, err := e.acquire(ctx)
	if err != nil {
		h.err = err
		return
	}
	defer c.release()
	b := c.batch()
	b.add(stmtHorizon)
	h.err = b.run(ctx, time.Now().Add(maxAge), func(_ int, row [][]byte) { h.low, h.next = number(row[0]), number(row[1]) })
}
