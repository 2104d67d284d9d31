package kvtest

import (
	"errors"
	"testing"
	"time"

	"lambent/kv"
)

func testWatch(t *testing.T, s *kv.Store) {
	a, stopA := s.Watch("a")
	b, stopB := s.Watch("b")
	inner, stopInner := s.In("x").Watch("a")
	defer stopB()
	defer stopInner()

	notify := func(s *kv.Store, topic string) {
		update(t, s, func(tx *kv.Tx) error { tx.Set([]byte("k"), nil); tx.Notify(topic); return nil })
	}
	notify(s, "a")
	woken(t, "a", a)
	notify(s, "a") // twice before the watcher looks: one wake-up is enough
	notify(s, "a")
	woken(t, "a", a)
	notify(s, "b")
	woken(t, "b", b)
	asleep(t, "a after b was notified", a)
	asleep(t, "another room's a", inner)
	update(t, s, func(tx *kv.Tx) error { tx.In(s.In("x")).Notify("a"); return nil }) // no write needed
	woken(t, "the other room's a", inner)

	err := s.Update(t.Context(), func(tx *kv.Tx) error { tx.Notify("b"); return errors.New("no") })
	want(t, "failed", err != nil, true)
	asleep(t, "b after a failed update", b)

	stopA()
	stopA() // may be called twice
	notify(s, "a")
	asleep(t, "a after its end", a)
}

// woken waits for a wake-up.
func woken(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s was not woken", what)
	}
}

// asleep checks that there is no wake-up. A spurious one would be allowed, but then a watcher of a quiet
// topic would work for nothing.
func asleep(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Errorf("%s was woken", what)
	default:
	}
}
