package s3

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// A CRC combined from two halves is the CRC of the whole.
func TestCombine(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, a := range algorithms[:3] {
		for _, sizes := range [][2]int{{0, 0}, {0, 5}, {5, 0}, {1, 1}, {7, 64}, {1000, 3}, {100, 5 << 20}} {
			x, y := random(rnd, sizes[0]), random(rnd, sizes[1])
			sum := func(p ...[]byte) []byte {
				h := a.new()
				h.Write(slices.Concat(p...))
				return h.Sum(nil)
			}
			got := combine(a, crcValue(sum(x)), crcValue(sum(y)), int64(len(y)))
			if want := crcValue(sum(x, y)); got != want {
				t.Errorf("%s of %v: got %x, want %x", a.name, sizes, got, want)
			}
			if c := combinedOf(a, [][]byte{sum(x), sum(y)}, []int64{int64(len(x)), int64(len(y))}); c != checksumOf(a.name, sum(x, y)) {
				t.Errorf("%s of %v: got %v", a.name, sizes, c)
			}
		}
	}
}

func random(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func TestVersionIDs(t *testing.T) {
	for _, seq := range []uint64{1, 2, 1 << 20, 1<<48 - 1} {
		id := newVersionID(seq)
		got, err := versionSeq(id)
		if err != nil || got != seq || len(id) != 32 {
			t.Errorf("%q: got %d, %v, want %d", id, got, err, seq)
		}
		if newVersionID(seq) == id {
			t.Errorf("the id %q was made twice", id)
		}
	}
}

func FuzzVersionID(f *testing.F) {
	f.Add(newVersionID(7))
	f.Add("HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD")
	f.Fuzz(func(t *testing.T, id string) { versionSeq(id) })
}

// Keys keep their order, come back, and lie between their prefix and what follows it.
func FuzzVersionKey(f *testing.F) {
	f.Add("a", "a\x00b", uint64(1))
	f.Add("a\xff", "b", uint64(9))
	f.Add("", "\x00", uint64(0))
	f.Fuzz(func(t *testing.T, a, b string, seq uint64) {
		base := objectsOf("bucket")
		ka, kb := versionKey("bucket", a, seq), versionKey("bucket", b, seq)
		if got, want := bytes.Compare(ka, kb), bytes.Compare([]byte(a), []byte(b)); got != want {
			t.Errorf("%q and %q: order %d, want %d", a, b, got, want)
		}
		if key, s := splitVersionKey(base, ka); key != a || s != seq {
			t.Errorf("%q %d came back as %q %d", a, seq, key, s)
		}
		within := bytes.Compare(ka, beginPrefix(base, b)) >= 0 && bytes.Compare(ka, afterPrefix(base, b)) < 0
		if want := bytes.HasPrefix([]byte(a), []byte(b)); within != want {
			t.Errorf("%q within prefix %q: %v", a, b, within)
		}
		if seq > 0 && bytes.Compare(ka, versionKey("bucket", a, seq-1)) >= 0 {
			t.Errorf("version %d of %q does not come before the one before", seq, a)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-8", int64(10))
	f.Add("bytes=-9223372036854775807", int64(3))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		off, n, ok := parseRange(header, size)
		if ok && (off < 0 || n < 0 || off+n > size) {
			t.Errorf("%q of %d: %d bytes at %d", header, size, n, off)
		}
	})
}

func FuzzCopySource(f *testing.F) {
	f.Add("/bucket/key%20?versionId=null")
	f.Fuzz(func(t *testing.T, header string) { parseCopySource(header) })
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"Statement":{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":"s3:*","Resource":"*"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := readPolicy("bucket", text); err == nil {
			p.public()
		}
	})
}
