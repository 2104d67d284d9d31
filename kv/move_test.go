package kv_test

import (
	"bytes"
	"errors"
	"testing"

	"lambent/kv"
)

func TestSplitKey(t *testing.T) {
	for _, bad := range []string{"", "\x00x", "\x02", "\x02\x00k", "\x02\x03a\x00", "\x02\x03a", "\x02\x15\x01\x00k", "\x03", "\xff"} {
		if rooms, key, err := kv.SplitKey([]byte(bad)); !errors.Is(err, kv.ErrBadKey) {
			t.Errorf("SplitKey(%q) = %q, %q, %v, want ErrBadKey", bad, rooms, key, err)
		}
	}
}

// FuzzSplitKey: what is accepted is put together the same way again.
func FuzzSplitKey(f *testing.F) {
	f.Add([]byte("\x01root"))
	f.Add([]byte("\x02\x03a\x00\x03b\x00\xffc\x00\x00key"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rooms, key, err := kv.SplitKey(b)
		if err != nil {
			return
		}
		want := []byte{1}
		if len(rooms) > 0 {
			want = []byte{2}
			for _, r := range rooms {
				want = append(want, kv.Key(r)...)
			}
			want = append(want, 0)
		}
		if want = append(want, key...); !bytes.Equal(b, want) {
			t.Errorf("SplitKey(%x) = %q, %x", b, rooms, key)
		}
	})
}
