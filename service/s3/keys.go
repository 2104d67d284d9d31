package s3

import (
	"bytes"
	"encoding/binary"

	"lambent/kv"
)

// Object and upload rows end in an object key that must keep its byte order and allow scans by any
// prefix of it, so the tuple that kv.Key makes stands before it and the key itself is escaped here:
// 0x00 becomes 0x00 0xFF and 0x00 0x01 ends it, which sorts before every longer key.

func bucketKey(name string) []byte             { return kv.Key("bucket", name) }
func ownedKey(account, name string) []byte     { return kv.Key("owned", account, name) }
func configKey(bucket, kind string) []byte     { return kv.Key("config", bucket, kind) }
func dataKey(b, key string, seq uint64) []byte { return kv.Key("data", b, key, seq) }
func nullKey(bucket, key string) []byte        { return kv.Key("null", bucket, key) }
func partKey(uploadID string, n int) []byte    { return kv.Key("part", uploadID, n) }
func objectsOf(bucket string) []byte           { return kv.Key("object", bucket) }
func uploadsOf(bucket string) []byte           { return kv.Key("upload", bucket) }
func versionsOf(bucket, key string) []byte     { return append(escape(objectsOf(bucket), key), 0, 1) }
func uploadKey(bucket, key, id string) []byte {
	return append(append(escape(uploadsOf(bucket), key), 0, 1), id...)
}
func afterPrefix(base []byte, p string) []byte { return successor(escape(bytes.Clone(base), p)) }
func afterKey(base []byte, key string) []byte  { return append(escape(bytes.Clone(base), key), 0, 2) }
func beginPrefix(base []byte, p string) []byte { return escape(bytes.Clone(base), p) }
func blobOwner(b, key string, v string) string { return "s3/" + b + "/" + v + "/" + key }
func partOwner(uploadID string, n int) string  { return string(partKey(uploadID, n)) }

// versionKey is where version seq of a key lies; the highest, which is the current one, sorts first.
func versionKey(bucket, key string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(versionsOf(bucket, key), ^seq)
}

// splitVersionKey undoes versionKey for a row under base.
func splitVersionKey(base, row []byte) (key string, seq uint64) {
	key, rest := unescape(row[len(base):])
	return key, ^binary.BigEndian.Uint64(rest)
}

// splitUploadKey undoes uploadKey for a row under base.
func splitUploadKey(base, row []byte) (key, id string) {
	key, rest := unescape(row[len(base):])
	return key, string(rest)
}

func escape(dst []byte, key string) []byte {
	for i := 0; i < len(key); i++ {
		dst = append(dst, key[i])
		if key[i] == 0 {
			dst = append(dst, 0xFF)
		}
	}
	return dst
}

func unescape(b []byte) (key string, rest []byte) {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] != 0 {
			out = append(out, b[i])
			continue
		}
		i++
		if i == len(b) || b[i] != 0xFF {
			return string(out), b[min(i+1, len(b)):]
		}
		out = append(out, 0)
	}
	return string(out), nil
}

// successor returns the smallest key after all keys that begin with b; b is changed. A base always begins with
// a byte below 0xFF, so there is one.
func successor(b []byte) []byte {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0xFF {
			b[i]++
			return b[:i+1]
		}
	}
	return b
}
