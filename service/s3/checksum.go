package s3

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"

	"lambent/cloud"
)

// The two ways in which a multipart object's checksum relates to those of its parts.
const (
	fullObject = "FULL_OBJECT" // of all bytes, as for any other object
	composite  = "COMPOSITE"   // of the parts' checksums, with "-" and their number behind it
)

// defaultAlgorithm is what S3 computes for an object that came without a checksum.
const defaultAlgorithm = "CRC64NVME"

// algorithm is one of S3's checksum algorithms.
type algorithm struct {
	name string
	new  func() hash.Hash // nil: known to S3, not computed here
	poly uint64           // reflected polynomial of a CRC, for combine; else 0
	bits int
}

// algorithms lists them in the order in which the API model lists the members.
var algorithms = []algorithm{
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }, crc32.IEEE, 32},
	{"CRC32C", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, crc32.Castagnoli, 32},
	{"CRC64NVME", func() hash.Hash { return crc64nvme.New() }, 0x9a6c9329ac4bc9b5, 64},
	{"SHA1", sha1.New, 0, 160},
	{"SHA256", sha256.New, 0, 256},
	{"SHA512", sha512.New, 0, 512},
	{"MD5", md5.New, 0, 128},
	{"XXHASH64", nil, 0, 64},
	{"XXHASH3", nil, 0, 64},
	{"XXHASH128", nil, 0, 128},
}

// findAlgorithm returns the algorithm of that name, or a Fault.
func findAlgorithm(name string) (algorithm, error) {
	for _, a := range algorithms {
		if a.name == name {
			if a.new == nil {
				return a, notImplemented("the checksum algorithm %s is not implemented", name)
			}
			return a, nil
		}
	}
	return algorithm{}, invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
}

// checksum is a stored checksum as clients see it.
type checksum struct {
	Algorithm string `json:"a,omitempty"`
	Value     string `json:"v,omitempty"` // base64; "…-3" for a composite of three parts
	Type      string `json:"t,omitempty"`
}

func checksumOf(algorithm string, sum []byte) checksum {
	return checksum{algorithm, base64.StdEncoding.EncodeToString(sum), fullObject}
}

// into sets the member that belongs to the checksum's algorithm; members come in the order of algorithms.
func (c checksum) into(members ...**string) {
	for i, m := range members {
		if algorithms[i].name == c.Algorithm {
			*m = &c.Value
		}
	}
}

// kind returns the checksum type for a reply, nil when there is no checksum.
func (c checksum) kind() *string {
	if c.Algorithm == "" {
		return nil
	}
	return &c.Type
}

// listed returns the algorithm as the listings show it.
func (c checksum) listed() []string {
	if c.Algorithm == "" {
		return nil
	}
	return []string{c.Algorithm}
}

// givenChecksum finds the one checksum that a request carries; members come in the order of algorithms. The
// algorithm alone, from the SDK's header, stands for a checksum that came as a trailer: the gateway has
// compared that one, and it is computed again here to be stored.
func givenChecksum(sdkAlgorithm *string, members ...*string) (checksum, error) {
	var given checksum
	for i, m := range members {
		if m == nil {
			continue
		}
		if given.Algorithm != "" {
			return given, invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		given = checksum{algorithms[i].name, *m, fullObject}
	}
	if given.Algorithm == "" && sdkAlgorithm != nil {
		given.Algorithm = strings.ToUpper(*sdkAlgorithm)
	}
	if given.Algorithm == "" {
		return given, nil
	}
	a, err := findAlgorithm(given.Algorithm)
	if err != nil || given.Value == "" {
		return given, err
	}
	if sum, err := base64.StdEncoding.DecodeString(given.Value); err != nil || len(sum)*8 != a.bits {
		return given, invalidRequest("Value for x-amz-checksum-%s header is invalid.", strings.ToLower(given.Algorithm))
	}
	return given, nil
}

// compositeOf returns the checksum of the parts' checksums.
func compositeOf(a algorithm, sums [][]byte) checksum {
	h := a.new()
	for _, s := range sums {
		h.Write(s)
	}
	value := base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(sums))
	return checksum{a.name, value, composite}
}

// combinedOf returns the CRC of the parts' bytes in order, from their own CRCs and sizes.
func combinedOf(a algorithm, sums [][]byte, sizes []int64) checksum {
	var crc uint64
	for i, s := range sums {
		crc = combine(a, crc, crcValue(s), sizes[i])
	}
	sum := binary.BigEndian.AppendUint64(nil, crc)
	return checksumOf(a.name, sum[8-a.bits/8:])
}

func crcValue(sum []byte) uint64 {
	var v uint64
	for _, b := range sum {
		v = v<<8 | uint64(b)
	}
	return v
}

// combine returns the CRC of A followed by B, given the CRC of each and the length of B. Appending a zero
// bit is a linear map on the register; the map for B's length comes by squaring (Mark Adler's method, in
// zlib's crc32_combine). It holds for CRCs whose register starts and ends inverted, as all of ours do.
func combine(a algorithm, crcA, crcB uint64, lenB int64) uint64 {
	if lenB == 0 {
		return crcA
	}
	step := make([]uint64, a.bits) // one zero bit
	step[0] = a.poly
	for i := 1; i < a.bits; i++ {
		step[i] = 1 << (i - 1)
	}
	for range 3 { // one zero byte
		step = square(step)
	}
	for n := lenB; n > 0; n >>= 1 {
		if n&1 == 1 {
			crcA = times(step, crcA)
		}
		step = square(step)
	}
	return crcA ^ crcB
}

func times(matrix []uint64, v uint64) uint64 {
	var sum uint64
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			sum ^= matrix[i]
		}
	}
	return sum
}

func square(matrix []uint64) []uint64 {
	out := make([]uint64, len(matrix))
	for i, v := range matrix {
		out[i] = times(matrix, v)
	}
	return out
}

// wantMD5 decodes a Content-MD5 header; nil when there is none.
func wantMD5(header *string) ([]byte, error) {
	if header == nil {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(*header)
	if err != nil || len(sum) != md5.Size {
		return nil, fault(400, "InvalidDigest", detail{}, "The Content-MD5 you specified was invalid.")
	}
	return sum, nil
}

// verify compares what was received with what the request promised.
func (b *body) verify(given checksum, contentMD5 []byte) error {
	if contentMD5 != nil && !slices.Equal(contentMD5, b.md5) {
		return fault(400, "BadDigest", detail{
			ExpectedDigest:   new(base64.StdEncoding.EncodeToString(contentMD5)),
			CalculatedDigest: new(base64.StdEncoding.EncodeToString(b.md5)),
		}, "The Content-MD5 you specified did not match what we received.")
	}
	if given.Value != "" && given.Value != b.sum.Value {
		return fault(400, "BadDigest", detail{}, "The %s you specified did not match the calculated checksum.", given.Algorithm)
	}
	return nil
}

// lowerName is the algorithm as S3 writes it in the middle of a sentence; "null" when there is none.
func (c checksum) lowerName() string { return strings.ToLower(cloud.Or(nonEmpty(c.Algorithm), "null")) }

// nonEmpty returns nil for the empty string: a member that is not there.
func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
