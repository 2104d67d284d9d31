package runtimes_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"lambent/runtimes"
)

func frame(kind uint32, at time.Time, text string) []byte {
	b := binary.BigEndian.AppendUint32(nil, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	if kind != 0xa55a0001 {
		b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMicro()))
	}
	return append(b, text...)
}

func TestFrames(t *testing.T) {
	at := time.UnixMicro(1700000000123456)
	stream := bytes.Join([][]byte{
		frame(0xa55a0003, at, "first\nof two lines"),
		frame(0xa55a0001, at, "without time"),
		frame(0xa55a000b, at, "with a level"),
		frame(0xa55a0003, at, ""),
		frame(0xa55a0003, at, strings.Repeat("x", runtimes.MaxRecord+10)),
		frame(0xa55a0003, at, "last"),
	}, nil)
	want := []string{"first\nof two lines", "without time", "with a level", "", strings.Repeat("x", runtimes.MaxRecord), strings.Repeat("x", 10), "last"}
	for _, size := range []int{1, 7, 16, 1000, len(stream)} {
		var got []string
		f := runtimes.NewFrames(func(when time.Time, record []byte) {
			if string(record) != "without time" && !when.Equal(at) {
				t.Errorf("%.20q at %v", record, when)
			}
			got = append(got, string(record))
		})
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			f.Write(rest[:n])
			rest = rest[n:]
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("in pieces of %d: %d records, want %d", size, len(got), len(want))
		}
	}
}

func TestFramesOfForeignBytes(t *testing.T) {
	var got []string
	f := runtimes.NewFrames(func(_ time.Time, record []byte) { got = append(got, string(record)) })
	f.Write([]byte("no frame at all\n"))
	f.Write([]byte("cut"))
	f.Flush()
	if strings.Join(got, "|") != "no frame at all\n|cut" {
		t.Errorf("got %q", got)
	}
}

// FuzzFrames: whatever a function writes, nothing is lost but headers, and memory stays bounded.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("text"), 3)
	f.Add(frame(0xa55a0003, time.Now(), "record"), 5)
	f.Add(frame(0xa55a0001, time.Now(), "record"), 1)
	f.Add([]byte{0xa5, 0x5a, 0, 3, 0xff, 0xff, 0xff, 0xff}, 2)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		n := 0
		fr := runtimes.NewFrames(func(_ time.Time, record []byte) {
			if len(record) > max(runtimes.MaxRecord, len(b)) {
				t.Fatalf("a record of %d bytes", len(record))
			}
			n += len(record)
		})
		size = max(1, size&0xff)
		for rest := b; len(rest) > 0; {
			k := min(size, len(rest))
			fr.Write(rest[:k])
			rest = rest[k:]
		}
		fr.Flush()
		if n > len(b) {
			t.Fatalf("%d bytes became %d", len(b), n)
		}
	})
}
