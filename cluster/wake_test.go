package cluster

import (
	"slices"
	"testing"
)

func FuzzTopics(f *testing.F) {
	f.Add(encodeTopics([]string{"", "a", "\x01due"}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		topics, err := decodeTopics(b)
		if err != nil {
			return
		}
		again, err := decodeTopics(encodeTopics(topics))
		if err != nil || !slices.Equal(again, topics) {
			t.Errorf("%x: %q, then %q, %v", b, topics, again, err)
		}
	})
}
