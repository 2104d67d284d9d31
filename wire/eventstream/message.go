// Package eventstream reads and writes application/vnd.amazon.eventstream: messages of typed headers and a
// payload, one after the other, each with its lengths and checksums.
//
//	total length, headers' length: 4 bytes each, big-endian
//	CRC-32 of these 8 bytes
//	headers: length of the name, name, type, value; then the payload
//	CRC-32 of everything before it
//
// What the events mean to an operation is the matter of package eventbody.
package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// Limits of a message, as the SDKs have them.
const (
	MaxHeaders = 128 << 10
	MaxPayload = 16 << 20

	preludeLength = 12
	overhead      = preludeLength + 4
)

// ErrMalformed is the error of bytes that are no message; errors.Is finds it.
var ErrMalformed = errors.New("malformed event stream")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// A Message is one message.
type Message struct {
	Headers []Header
	Payload []byte
}

// A Header is a name and a value, which is a bool, int8, int16, int32, int64, []byte, string, time.Time (with
// milliseconds) or UUID.
type Header struct {
	Name  string
	Value any
}

// A UUID is a value of 16 bytes.
type UUID [16]byte

// Get returns a header's value, or nil.
func (m *Message) Get(name string) any {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return nil
}

// Text returns a header that is a string; ok is false where there is none, or none of this type.
func (m *Message) Text(name string) (s string, ok bool) {
	s, ok = m.Get(name).(string)
	return s, ok
}

// The types of header values.
const (
	typeTrue = iota
	typeFalse
	typeInt8
	typeInt16
	typeInt32
	typeInt64
	typeBytes
	typeString
	typeTime
	typeUUID
)

// Append appends a message. Its error is one of ours: a message that is too large, a value of a type that headers
// do not have.
func Append(b []byte, m *Message) ([]byte, error) {
	start := len(b)
	b = append(b, make([]byte, preludeLength)...)
	b, err := AppendHeaders(b, m.Headers)
	if err != nil {
		return nil, err
	}
	headers := len(b) - start - preludeLength
	if headers > MaxHeaders || len(m.Payload) > MaxPayload {
		return nil, fmt.Errorf("event stream message with %d bytes of headers and %d of payload is too large", headers, len(m.Payload))
	}
	b = append(b, m.Payload...)
	prelude := b[start:]
	binary.BigEndian.PutUint32(prelude, uint32(len(prelude)+4))
	binary.BigEndian.PutUint32(prelude[4:], uint32(headers))
	binary.BigEndian.PutUint32(prelude[8:], crc32.ChecksumIEEE(prelude[:8]))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:])), nil
}

// AppendHeaders appends headers as they stand in a message.
func AppendHeaders(b []byte, headers []Header) ([]byte, error) {
	for _, h := range headers {
		if h.Name == "" || len(h.Name) > math.MaxUint8 {
			return nil, fmt.Errorf("event stream header with a name of %d bytes", len(h.Name))
		}
		b = append(append(b, byte(len(h.Name))), h.Name...)
		switch v := h.Value.(type) {
		case bool:
			if v {
				b = append(b, typeTrue)
			} else {
				b = append(b, typeFalse)
			}
		case int8:
			b = append(b, typeInt8, byte(v))
		case int16:
			b = binary.BigEndian.AppendUint16(append(b, typeInt16), uint16(v))
		case int32:
			b = binary.BigEndian.AppendUint32(append(b, typeInt32), uint32(v))
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, typeInt64), uint64(v))
		case time.Time:
			b = binary.BigEndian.AppendUint64(append(b, typeTime), uint64(v.UnixMilli()))
		case UUID:
			b = append(append(b, typeUUID), v[:]...)
		case []byte:
			if len(v) > math.MaxInt16 {
				return nil, fmt.Errorf("event stream header %s with %d bytes", h.Name, len(v))
			}
			b = append(binary.BigEndian.AppendUint16(append(b, typeBytes), uint16(len(v))), v...)
		case string:
			if len(v) > math.MaxInt16 {
				return nil, fmt.Errorf("event stream header %s with %d bytes", h.Name, len(v))
			}
			b = append(binary.BigEndian.AppendUint16(append(b, typeString), uint16(len(v))), v...)
		default:
			return nil, fmt.Errorf("event stream header %s of type %T", h.Name, h.Value)
		}
	}
	return b, nil
}

// Read reads a message. It returns io.EOF where the stream ends between two messages, an error that wraps
// ErrMalformed for bytes that are none, and the reader's own errors. The message holds no bytes of anybody else.
func Read(r io.Reader) (*Message, error) {
	var prelude [preludeLength]byte
	if _, err := io.ReadFull(r, prelude[:]); err != nil {
		return nil, cutOff(err)
	}
	total, headers := binary.BigEndian.Uint32(prelude[:]), binary.BigEndian.Uint32(prelude[4:])
	switch {
	case binary.BigEndian.Uint32(prelude[8:]) != crc32.ChecksumIEEE(prelude[:8]):
		return nil, malformed("the checksum of the prelude does not match")
	case headers > MaxHeaders || uint64(total) < uint64(headers)+overhead || uint64(total) > uint64(headers)+overhead+MaxPayload:
		return nil, malformed("a message of %d bytes with %d of headers", total, headers)
	}
	body, err := readAll(r, int(total)-preludeLength)
	if err != nil {
		return nil, err
	}
	sum := crc32.Update(crc32.ChecksumIEEE(prelude[:]), crc32.IEEETable, body[:len(body)-4])
	if sum != binary.BigEndian.Uint32(body[len(body)-4:]) {
		return nil, malformed("the checksum of the message does not match")
	}
	m := &Message{Payload: body[headers : len(body)-4 : len(body)-4]}
	m.Headers, err = readHeaders(body[:headers:headers])
	return m, err
}

// readAll reads n bytes. Memory grows with what comes, not with what is said.
func readAll(r io.Reader, n int) ([]byte, error) {
	const chunk = 256 << 10
	b := make([]byte, 0, min(n, chunk))
	for len(b) < n {
		part := min(n-len(b), chunk)
		if cap(b)-len(b) < part {
			b = append(make([]byte, 0, min(n, 2*cap(b)+part)), b...)
		}
		got, err := io.ReadFull(r, b[len(b):len(b)+part])
		b = b[:len(b)+got]
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, cutOff(err)
		}
	}
	return b, nil
}

func cutOff(err error) error {
	if err == io.ErrUnexpectedEOF {
		return malformed("the stream ends within a message")
	}
	return err
}

func readHeaders(b []byte) (headers []Header, err error) {
	for len(b) > 0 {
		var h Header
		if b, err = h.read(b); err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
	return headers, nil
}

// widths are the lengths of values that have one of their own; -1 stands for two bytes that say it.
var widths = [...]int{typeTrue: 0, typeFalse: 0, typeInt8: 1, typeInt16: 2, typeInt32: 4, typeInt64: 8, typeBytes: -1, typeString: -1, typeTime: 8, typeUUID: 16}

// read reads one header and returns what follows it.
func (h *Header) read(b []byte) (rest []byte, err error) {
	n := int(b[0])
	if n == 0 || len(b) < 1+n+1 {
		return nil, malformed("a header is cut off")
	}
	h.Name = string(b[1 : 1+n])
	kind := b[1+n]
	b = b[2+n:]
	if int(kind) >= len(widths) {
		return nil, malformed("header %q has the unknown type %d", h.Name, kind)
	}
	width := widths[kind]
	if width < 0 {
		if len(b) < 2 {
			return nil, malformed("header %q is cut off", h.Name)
		}
		if width = int(binary.BigEndian.Uint16(b)); width > math.MaxInt16 {
			return nil, malformed("header %q is too long", h.Name)
		}
		b = b[2:]
	}
	if len(b) < width {
		return nil, malformed("header %q is cut off", h.Name)
	}
	v := b[:width:width]
	switch kind {
	case typeTrue:
		h.Value = true
	case typeFalse:
		h.Value = false
	case typeInt8:
		h.Value = int8(v[0])
	case typeInt16:
		h.Value = int16(binary.BigEndian.Uint16(v))
	case typeInt32:
		h.Value = int32(binary.BigEndian.Uint32(v))
	case typeInt64:
		h.Value = int64(binary.BigEndian.Uint64(v))
	case typeBytes:
		h.Value = v
	case typeString:
		h.Value = string(v)
	case typeTime:
		h.Value = time.UnixMilli(int64(binary.BigEndian.Uint64(v))).UTC()
	case typeUUID:
		h.Value = UUID(v)
	}
	return b[width:], nil
}
