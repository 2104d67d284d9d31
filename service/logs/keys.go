package logs

import (
	"encoding/binary"
	"errors"
	"math/big"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// The keys of this room, as tuples:
//
//	group   account region name                     groupRow
//	stream  account region group name               streamRow
//	event   id timestamp-ms stamp                   format byte, ingestion ms, message
//
// The id of a stream is random, so that a stream that is deleted and made again begins empty even while the
// old one's events are being removed.

func groupKey(c cloud.Caller, name string) []byte {
	return kv.Key("group", c.Account, c.Region, name)
}

func streamKey(c cloud.Caller, group, name string) []byte {
	return kv.Key("stream", c.Account, c.Region, group, name)
}

func streamRange(c cloud.Caller, group string) kv.Range {
	return kv.Prefix("stream", c.Account, c.Region, group)
}

// eventPrefix is the part of an event's key before the stamp.
func eventPrefix(id string, ms int64) []byte { return kv.Key("event", id, ms) }

// stampSize is the length of the stamp that ends an event's key.
const stampSize = len(kv.Stamp{})

var errEventKey = errors.New("logs: key is not an event's")

// position is where an event stands in its stream. Positions sort as events do.
type position struct {
	ms    int64
	stamp kv.Stamp
}

func positionOf(key []byte) (p position, err error) {
	if len(key) < stampSize {
		return p, errEventKey
	}
	cut := len(key) - stampSize
	parts, err := kv.Unkey(key[:cut])
	if err != nil {
		return p, err
	}
	if len(parts) != 3 {
		return p, errEventKey
	}
	ms, ok := parts[2].(int64)
	if !ok {
		return p, errEventKey
	}
	p.ms = ms
	copy(p.stamp[:], key[cut:])
	return p, nil
}

// key is the event's key in the stream with that id.
func (p position) key(id string) []byte { return append(eventPrefix(id, p.ms), p.stamp[:]...) }

// eventID is the position as the decimal number of 56 digits that AWS shows.
func (p position) eventID() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.ms))
	digits := new(big.Int).SetBytes(append(b, p.stamp[:]...)).String()
	return strings.Repeat("0", max(0, 56-len(digits))) + digits
}

// eventFormat is the first byte of a stored event.
const eventFormat = 1

func encodeEvent(ingested time.Time, message string) []byte {
	b := make([]byte, 0, 1+binary.MaxVarintLen64+len(message))
	b = append(b, eventFormat)
	b = binary.AppendVarint(b, ingested.UnixMilli())
	return append(b, message...)
}

func decodeEvent(b []byte) (ingestedMs int64, message string, err error) {
	if len(b) == 0 || b[0] != eventFormat {
		return 0, "", errors.New("logs: event of an unknown format")
	}
	ms, n := binary.Varint(b[1:])
	if n <= 0 {
		return 0, "", errors.New("logs: event without a time")
	}
	return ms, string(b[1+n:]), nil
}
