package lambda

import (
	"bytes"
	"encoding/base64"

	"lambent/kv"
)

// A marker is the key of the last row that was given out. It is good for the list that it came from only.
func encodeMarker(key []byte) string { return base64.URLEncoding.EncodeToString(key) }

func decodeMarker(marker string) ([]byte, error) {
	key, err := base64.URLEncoding.DecodeString(marker)
	if err == nil {
		_, err = kv.Unkey(key)
	}
	if err != nil {
		return nil, invalid("Invalid value for Marker: %.100s", marker)
	}
	return key, nil
}

// after narrows rows to those behind marker, in the order in which they are read.
func after(rows kv.Range, marker string) (kv.Range, error) {
	key, err := decodeMarker(marker)
	if err != nil {
		return rows, err
	}
	if bytes.Compare(key, rows.Begin) < 0 || bytes.Compare(key, rows.End) >= 0 {
		return rows, invalid("Invalid value for Marker: %.100s", marker)
	}
	if rows.Reverse {
		rows.End = key
	} else {
		rows.Begin = append(key, 0)
	}
	return rows, nil
}
