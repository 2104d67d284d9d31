package kvtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lambent/kv/driver"
)

// attempt is a transaction of a random history: what it has read, with the answers, and what it will write.
type attempt struct {
	name   string
	mode   driver.Mode
	txn    driver.Txn
	reads  []read
	writes []driver.Op
}

// read is a read of a transaction, as something that can be asked of a model again.
type read struct {
	what string
	ask  func(m model) string
	got  string
}

// testHistories runs random transactions that overlap, step by step in one goroutine, and then looks for an
// order in which they could have run one after the other: with the answers that each has got, and with
// what is there in the end.
func testHistories(t *testing.T, open func(t testing.TB) driver.Engine) {
	engine := open(t)
	t.Cleanup(func() { must(t, engine.Close()) })
	run, committed, refused := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			run++
			h := &history{t: t, rt: rt, engine: engine, prefix: fmt.Sprintf("\x02%08d/", run)}
			h.run()
			committed, refused = committed+len(h.done), refused+h.refused
		}
	})
	t.Logf("%d attempts succeeded, %d were refused", committed, refused)
	if refused == 0 {
		t.Error("no attempt was refused: the histories have no conflicts")
	}
}

type history struct {
	t       *testing.T
	rt      *rapid.T
	engine  driver.Engine
	prefix  string
	running []*attempt
	done    []*attempt
	begun   int
	refused int
}

const maxRunning, maxBegun = 4, 7

func (h *history) run() {
	for range rapid.IntRange(4, 30).Draw(h.rt, "steps") {
		h.step()
	}
	for len(h.running) > 0 {
		h.end(0)
	}
	if !h.serial(model{}, h.done, h.final()) {
		h.rt.Fatalf("no serial order explains this:\n%s", h)
	}
}

func (h *history) step() {
	if len(h.running) == 0 || len(h.running) < maxRunning && rapid.IntRange(0, 3).Draw(h.rt, "begin") == 0 {
		h.begin()
		return
	}
	i := rapid.IntRange(0, len(h.running)-1).Draw(h.rt, "which")
	a := h.running[i]
	switch rapid.SampledFrom([]string{"get", "scan", "set", "delete", "deleteRange", "end"}).Draw(h.rt, "step") {
	case "get":
		h.get(a)
	case "scan":
		h.scan(a)
	case "set":
		a.write(driver.Op{Kind: driver.Set, Key: h.key(), Value: []byte(a.name)})
	case "delete":
		a.write(driver.Op{Kind: driver.Delete, Key: h.key()})
	case "deleteRange":
		if b, e := h.key(), h.key(); string(b) < string(e) {
			a.write(driver.Op{Kind: driver.DeleteRange, Key: b, Value: e})
		}
	case "end":
		h.end(i)
	}
}

func (h *history) begin() {
	if h.begun == maxBegun {
		return
	}
	h.begun++
	mode := driver.ReadWrite
	if rapid.IntRange(0, 3).Draw(h.rt, "mode") == 0 {
		mode = driver.ReadOnly
	}
	txn, err := h.engine.Begin(h.t.Context(), mode)
	must(h.t, err)
	h.running = append(h.running, &attempt{name: fmt.Sprintf("T%d", h.begun), mode: mode, txn: txn})
}

func (h *history) key() []byte {
	return []byte(h.prefix + rapid.StringOfN(rapid.SampledFrom([]rune("abcd")), 1, 1, -1).Draw(h.rt, "key"))
}

func (h *history) get(a *attempt) {
	k := h.key()
	v, err := a.txn.Get(h.t.Context(), k, a.mode == driver.ReadWrite)
	if h.refusedRead(a, err) {
		return
	}
	a.reads = append(a.reads, read{fmt.Sprintf("get %s", k), func(m model) string { return m.get(string(k)) }, text(v)})
}

func (h *history) scan(a *attempt) {
	b, e := h.key(), append(h.key(), 'z')
	limit, reverse := rapid.IntRange(0, 2).Draw(h.rt, "limit"), rapid.Bool().Draw(h.rt, "reverse")
	r := driver.Range{Begin: b, End: e, Limit: limit, Reverse: reverse}
	if string(b) >= string(e) {
		return
	}
	entries, err := a.txn.Scan(h.t.Context(), r, a.mode == driver.ReadWrite)
	if h.refusedRead(a, err) {
		return
	}
	ask := func(m model) string { return m.scan(string(b), string(e), limit, reverse) }
	a.reads = append(a.reads, read{fmt.Sprintf("scan %s to %s limit %d reverse %v", b, e, limit, reverse), ask, join(entries)})
}

// refusedRead ends an attempt that the engine refuses already when it reads. Any other error ends the test.
func (h *history) refusedRead(a *attempt, err error) bool {
	if !errors.Is(err, driver.ErrConflict) {
		must(h.t, err)
		return false
	}
	wantErr(h.t, "Finish after a refused read", a.txn.Finish(h.t.Context()), driver.ErrConflict)
	h.running = slices.DeleteFunc(h.running, func(b *attempt) bool { return a == b })
	h.refused++
	return true
}

func (a *attempt) write(op driver.Op) {
	if a.mode == driver.ReadWrite {
		a.writes = append(a.writes, op)
	}
}

// end commits or finishes a running transaction.
func (h *history) end(i int) {
	a := h.running[i]
	h.running = append(h.running[:i], h.running[i+1:]...)
	var err error
	if a.mode == driver.ReadOnly {
		err = a.txn.Finish(h.t.Context())
	} else {
		_, err = a.txn.Commit(h.t.Context(), a.writes)
	}
	if errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrTooOld) {
		h.refused++
		return
	}
	must(h.t, err)
	h.done = append(h.done, a)
}

func (h *history) final() string {
	txn, err := h.engine.Begin(h.t.Context(), driver.ReadOnly)
	must(h.t, err)
	entries, err := txn.Scan(h.t.Context(), driver.Range{Begin: []byte(h.prefix), End: []byte(h.prefix + "z")}, false)
	must(h.t, err)
	must(h.t, txn.Finish(h.t.Context()))
	return join(entries)
}

// serial says whether the transactions in rest can run in some order from m on and lead to final.
func (h *history) serial(m model, rest []*attempt, final string) bool {
	if len(rest) == 0 {
		return m.scan("", "", 0, false) == final
	}
	for i, a := range rest {
		if !a.fits(m) {
			continue
		}
		others := append(append([]*attempt(nil), rest[:i]...), rest[i+1:]...)
		if h.serial(a.apply(m), others, final) {
			return true
		}
	}
	return false
}

// fits says whether a would get the answers that it got.
func (a *attempt) fits(m model) bool {
	for _, r := range a.reads {
		if r.ask(m) != r.got {
			return false
		}
	}
	return true
}

// apply returns m with a's writes.
func (a *attempt) apply(m model) model {
	m = maps.Clone(m)
	for _, op := range a.writes {
		switch op.Kind {
		case driver.Set:
			m[string(op.Key)] = string(op.Value)
		case driver.Delete:
			delete(m, string(op.Key))
		case driver.DeleteRange:
			m.deleteRange(string(op.Key), string(op.Value))
		}
	}
	return m
}

// String lists the transactions that succeeded.
func (h *history) String() (s string) {
	for _, a := range h.done {
		s += a.name + ":\n"
		for _, r := range a.reads {
			s += fmt.Sprintf("  %s: %q\n", r.what, r.got)
		}
		for _, op := range a.writes {
			s += fmt.Sprintf("  write %d %s %s\n", op.Kind, op.Key, op.Value)
		}
	}
	return s
}
