package logs

import (
	"bytes"

	"lambent/blob"
	"lambent/kv"
)

// CheckRow says what is wrong with a row of this room.
func CheckRow(row kv.KV, _ func(blob.Ref, string)) error {
	if !bytes.HasPrefix(row.Key, kv.Key("event")) {
		return kv.CheckRow(row.Value)
	}
	_, _, err := decodeEvent(row.Value)
	return err
}
