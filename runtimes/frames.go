package runtimes

import (
	"encoding/binary"
	"io"
	"time"
)

// MaxRecord bounds one log record; what is longer is cut into several.
const MaxRecord = 256 << 10

const (
	frameHeader  = 16
	frameMagic   = 0xa55a0003 // type of a frame that carries a time stamp
	frameMagicV1 = 0xa55a0001 // older: without one
)

// Frames parses the stream that runtime clients write to _LAMBDA_TELEMETRY_LOG_FD and hands on one record at a time.
//
// A frame is, big endian, a 4-byte type (0xa55a0003; the low byte of newer clients also tells level and format:
// any 0xa55a00xx with bit 1 set has a time stamp), a 4-byte length, an 8-byte time in microseconds since 1970, and the
// record. Type 0xa55a0001 has no time stamp. Bytes that are no frame are handed on as they come: foreign code may
// write to the descriptor as well.
type Frames struct {
	emit func(at time.Time, record []byte)
	buf  []byte
}

// NewFrames returns a writer that calls emit for each record. The record is emit's only until it returns.
func NewFrames(emit func(at time.Time, record []byte)) *Frames { return &Frames{emit: emit} }

var _ io.Writer = (*Frames)(nil)

// Write implements io.Writer. It never fails.
func (f *Frames) Write(p []byte) (int, error) {
	f.buf = append(f.buf, p...)
	for len(f.buf) > 0 {
		n := f.next()
		if n == 0 {
			break
		}
		f.buf = f.buf[n:]
	}
	if len(f.buf) == 0 {
		f.buf = nil
	}
	return len(p), nil
}

// Flush hands on what is left of an unfinished frame.
func (f *Frames) Flush() {
	if rest := f.buf; len(rest) > 0 {
		f.buf = nil
		f.emit(time.Now(), rest)
	}
}

// next handles one frame at the start of the buffer and returns its length, or 0 when more bytes are needed.
func (f *Frames) next() int {
	if len(f.buf) < 8 {
		return 0
	}
	kind, size := binary.BigEndian.Uint32(f.buf), int(binary.BigEndian.Uint32(f.buf[4:]))
	head := frameHeader
	switch {
	case kind == frameMagicV1:
		head = 8
	case kind&0xffffff00 != frameMagic&0xffffff00 || size > 1<<30:
		f.emit(time.Now(), f.buf)
		return len(f.buf)
	}
	at := time.Now()
	if head == frameHeader {
		if len(f.buf) < frameHeader {
			return 0
		}
		at = time.UnixMicro(int64(binary.BigEndian.Uint64(f.buf[8:])))
	}
	if size > MaxRecord {
		return f.long(at, head, size)
	}
	if len(f.buf) < head+size {
		return 0
	}
	f.emit(at, f.buf[head:head+size])
	return head + size
}

// long emits a part of a record that is over MaxRecord and rewrites the header for what is left of it.
func (f *Frames) long(at time.Time, head, size int) int {
	if len(f.buf) < head+MaxRecord {
		return 0
	}
	f.emit(at, f.buf[head:head+MaxRecord])
	rest := f.buf[MaxRecord:]
	copy(rest, f.buf[:head])
	binary.BigEndian.PutUint32(rest[4:], uint32(size-MaxRecord))
	return MaxRecord
}
