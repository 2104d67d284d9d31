package s3

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strconv"
)

// nullVersion is the id of a version that was written while its bucket was not versioned.
const nullVersion = "null"

// versionAlphabet is base64 in the letters that AWS's own version ids are made of.
var versionAlphabet = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._").WithPadding(base64.NoPadding)

// newVersionID makes an id that says where the version lies, 14 random bytes, six of the number under a mask of
// the random ones and four of check, so that one row is read to find a version and an invented id is told
// from one that is gone.
func newVersionID(seq uint64) string {
	var id [24]byte
	rand.Read(id[:14])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], seq)
	for i, b := range n[2:] {
		id[14+i] = b ^ id[i]
	}
	binary.BigEndian.PutUint32(id[20:], versionCheck(id[:20]))
	return versionAlphabet.EncodeToString(id[:])
}

// versionSeq returns the number of the version that id names.
func versionSeq(id string) (uint64, error) {
	b, err := versionAlphabet.DecodeString(id)
	if err != nil || len(b) != 24 || binary.BigEndian.Uint32(b[20:]) != versionCheck(b[:20]) {
		return 0, invalidArgument("versionId", id, "Invalid version id specified")
	}
	var n [8]byte
	for i := range n[2:] {
		n[2+i] = b[14+i] ^ b[i]
	}
	return binary.BigEndian.Uint64(n[:]), nil
}

func versionCheck(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ 0x4c616d62 }

func seqBytes(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func seqOf(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// versionOwner names a version as the holder of a blob.
func versionOwner(bucket, key string, seq uint64) string {
	return blobOwner(bucket, key, strconv.FormatUint(seq, 10))
}

// Tokens that continue a listing hold the last key of the page before; the check tells them from invented ones.

func sealToken(key string) string {
	return base64.URLEncoding.EncodeToString(binary.BigEndian.AppendUint32([]byte(key), versionCheck([]byte(key))))
}

func openToken(token string) (key string, ok bool) {
	if token == "" {
		return "", true
	}
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) < 4 {
		return "", false
	}
	n := len(b) - 4
	return string(b[:n]), binary.BigEndian.Uint32(b[n:]) == versionCheck(b[:n])
}
