package kv

import "sync"

// watches wakes those who wait for a topic.
type watches struct {
	mu     sync.Mutex // guards topics
	topics map[string]map[chan struct{}]struct{}
}

func (w *watches) add(topic string) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics == nil {
		w.topics = map[string]map[chan struct{}]struct{}{}
	}
	if w.topics[topic] == nil {
		w.topics[topic] = map[chan struct{}]struct{}{}
	}
	w.topics[topic][c] = struct{}{}
	return c, func() { w.remove(topic, c) }
}

func (w *watches) remove(topic string, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.topics[topic], c)
	if len(w.topics[topic]) == 0 {
		delete(w.topics, topic)
	}
}

// fire wakes the watchers of topics. A watcher that has not yet taken its last wake-up gets no second.
func (w *watches) fire(topics []string) {
	if len(topics) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range topics {
		for c := range w.topics[t] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}
