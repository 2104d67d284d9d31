package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A stream is what a cloud sends of itself: all but the bytes of its blobs. It begins with streamMagic; then
// come frames, each a kind, the length of its content in 4 bytes, and its content:
//
//	H  Header, JSON; the first frame
//	F  File, JSON
//	R  rows, as appendRow writes them one after the other
//	B  SHA-256 hashes of blobs that rows refer to, 32 bytes each
//	X  text: why the cloud could not go on; the last frame
//	E  Totals, JSON; the last frame
//
// A stream without X or E was cut off.
const streamMagic = "lambent backup stream 1\n"

const (
	frameHeader = 'H'
	frameFile   = 'F'
	frameRows   = 'R'
	frameBlobs  = 'B'
	frameBroken = 'X'
	frameEnd    = 'E'
)

// maxFrame bounds a frame: rows end at maxSegment, or with the first row after it.
const maxFrame = 16 << 20

// Errors of reading a stream.
var (
	errNoStream = errors.New("this is not a backup stream")
	errCutOff   = errors.New("the stream was cut off")
)

// Header says what is being sent.
type Header struct {
	Version string `json:"version"` // of the program that sends
	Format  int    `json:"format"`  // of the store
	Above   []byte `json:"above"`   // a stamp greater than all in the rows
}

// Totals are what a whole stream held.
type Totals struct {
	Rows  int64 `json:"rows"`
	Blobs int64 `json:"blobs"`
	Files int   `json:"files"`
}

// File is a small file of the data folder: keys and certificates.
type File struct {
	Path    string `json:"path"` // below the data folder, with slashes
	Mode    uint32 `json:"mode"` // permission bits
	Content []byte `json:"content"`
}

// sender writes frames.
type sender struct{ w io.Writer }

func (s sender) frame(kind byte, content []byte) error {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)))
	if _, err := s.w.Write(head); err != nil {
		return err
	}
	_, err := s.w.Write(content)
	return err
}

func (s sender) json(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.frame(kind, b)
}

// appendRow writes a row: the lengths of key and value as uvarints, each before its bytes.
func appendRow(b, key, value []byte) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// nextRow reads what appendRow wrote and returns what follows.
func nextRow(b []byte) (key, value, rest []byte, err error) {
	if key, b, err = nextBytes(b); err != nil {
		return nil, nil, nil, err
	}
	value, rest, err = nextBytes(b)
	return key, value, rest, err
}

func nextBytes(b []byte) (p, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errors.New("malformed row")
	}
	b = b[size:]
	return b[:n:n], b[n:], nil
}

// receiver reads frames.
type receiver struct{ r *bufio.Reader }

func newReceiver(r io.Reader) (*receiver, error) {
	rc := &receiver{bufio.NewReaderSize(r, 64<<10)}
	magic := make([]byte, len(streamMagic))
	if _, err := io.ReadFull(rc.r, magic); err != nil || string(magic) != streamMagic {
		return nil, errNoStream
	}
	return rc, nil
}

// next returns the next frame, which is the caller's.
func (r *receiver) next() (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, nil, errCutOff
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", errNoStream, n)
	}
	content, err = io.ReadAll(io.LimitReader(r.r, int64(n))) // grows with what is there, not with what is claimed
	if err != nil || len(content) < int(n) {
		return 0, nil, errCutOff
	}
	return head[0], content, nil
}

// visitor is who takes what a stream holds.
type visitor interface {
	header(Header) error
	file(File) error
	rows([]byte) error               // owns them
	blobs([][sha256.Size]byte) error // hashes
}

// receive reads a whole stream.
func receive(r io.Reader, v visitor) (Totals, error) {
	rc, err := newReceiver(r)
	if err != nil {
		return Totals{}, err
	}
	var seen Totals
	for first := true; ; first = false {
		kind, content, err := rc.next()
		if err != nil {
			return seen, err
		}
		if first != (kind == frameHeader) {
			return seen, errNoStream
		}
		if kind == frameEnd {
			return seen, checkTotals(content, seen)
		}
		if err := visit(v, kind, content, &seen); err != nil {
			return seen, err
		}
	}
}

func checkTotals(content []byte, seen Totals) error {
	var end Totals
	if err := json.Unmarshal(content, &end); err != nil {
		return fmt.Errorf("%w: %w", errNoStream, err)
	}
	if end != seen {
		return fmt.Errorf("%w: it holds %+v and claims %+v", errCutOff, seen, end)
	}
	return nil
}

// visit hands one frame to v and counts it.
func visit(v visitor, kind byte, content []byte, seen *Totals) error {
	switch kind {
	case frameHeader:
		var h Header
		if err := json.Unmarshal(content, &h); err != nil {
			return fmt.Errorf("%w: %w", errNoStream, err)
		}
		return v.header(h)
	case frameFile:
		var f File
		if err := json.Unmarshal(content, &f); err != nil {
			return fmt.Errorf("%w: %w", errNoStream, err)
		}
		seen.Files++
		return v.file(f)
	case frameRows:
		n, err := countRows(content)
		if err != nil {
			return fmt.Errorf("%w: %w", errNoStream, err)
		}
		seen.Rows += n
		return v.rows(content)
	case frameBlobs:
		hashes := make([][sha256.Size]byte, 0, len(content)/sha256.Size)
		for ; len(content) >= sha256.Size; content = content[sha256.Size:] {
			hashes = append(hashes, [sha256.Size]byte(content))
		}
		if len(content) > 0 {
			return fmt.Errorf("%w: half a hash", errNoStream)
		}
		seen.Blobs += int64(len(hashes))
		return v.blobs(hashes)
	case frameBroken:
		return fmt.Errorf("the cloud could not send all of itself: %s", content)
	}
	return fmt.Errorf("%w: a frame of kind %q", errNoStream, kind)
}

// countRows counts the rows of a segment, and checks their form.
func countRows(b []byte) (n int64, err error) {
	for len(b) > 0 {
		if _, _, b, err = nextRow(b); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
