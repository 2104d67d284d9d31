package backup

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// tally counts what it is given.
type tally struct {
	t    *testing.T
	seen Totals
}

func (c *tally) header(Header) error { return nil }

func (c *tally) file(File) error {
	c.seen.Files++
	return nil
}

func (c *tally) rows(segment []byte) error {
	for len(segment) > 0 {
		_, _, rest, err := nextRow(segment)
		if err != nil {
			c.t.Errorf("a malformed row was let through: %v", err)
			return err
		}
		segment = rest
		c.seen.Rows++
	}
	return nil
}

func (c *tally) blobs(hashes [][sha256.Size]byte) error {
	c.seen.Blobs += int64(len(hashes))
	return nil
}

// FuzzReceive: of any bytes, what is taken for a whole stream holds what it claims.
func FuzzReceive(f *testing.F) {
	var b bytes.Buffer
	b.WriteString(streamMagic)
	s := sender{&b}
	for _, err := range []error{
		s.json(frameHeader, Header{Version: "1"}), s.json(frameFile, File{Path: "a"}), s.frame(frameRows, appendRow(nil, []byte("k"), []byte("v"))),
		s.frame(frameBlobs, make([]byte, 64)), s.json(frameEnd, Totals{Rows: 1, Blobs: 2, Files: 1}),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Add([]byte(streamMagic + "H\x00\x00\x00\x02{}E\x00\x00\x00\x02{}"))
	f.Add([]byte(streamMagic + "H\x00\x00\x00\x02{}R\x00\x00\x00\x02\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		v := &tally{t: t}
		totals, err := receive(bytes.NewReader(stream), v)
		if err == nil && totals != v.seen {
			t.Errorf("totals %+v, seen %+v", totals, v.seen)
		}
	})
}
