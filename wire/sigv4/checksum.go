package sigv4

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/minio/crc64nvme"
)

const checksumPrefix = "x-amz-checksum-"

// NewChecksum returns the hash behind a checksum header or trailer such as "x-amz-checksum-crc32c", nil
// for names that are not known.
func NewChecksum(header string) hash.Hash {
	switch strings.ToLower(header) {
	case checksumPrefix + "crc32":
		return crc32.NewIEEE()
	case checksumPrefix + "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case checksumPrefix + "crc64nvme":
		return crc64nvme.New()
	case checksumPrefix + "sha1":
		return sha1.New()
	case checksumPrefix + "sha256":
		return sha256.New()
	case checksumPrefix + "sha512":
		return sha512.New()
	case checksumPrefix + "md5":
		return md5.New()
	}
	return nil
}

// A checksum is one that the trailer will hold.
type checksum struct {
	name string // of the header, lower case
	hash hash.Hash
}

// announced reads X-Amz-Trailer.
func announced(header string) ([]checksum, error) {
	var sums []checksum
	for name := range strings.SplitSeq(header, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		h := NewChecksum(name)
		if h == nil || len(sums) > 0 {
			return nil, errorf(ChecksumInvalid, "The value specified in the x-amz-trailer header is not supported")
		}
		sums = append(sums, checksum{name, h})
	}
	if len(sums) == 0 {
		return nil, errorf(ChecksumInvalid, "The value specified in the x-amz-trailer header is not supported")
	}
	return sums, nil
}

// check compares the checksum with what the trailer says.
func (c checksum) check(given string) error {
	want := base64.StdEncoding.EncodeToString(c.hash.Sum(nil))
	if given == want {
		return nil
	}
	name := strings.ToUpper(strings.TrimPrefix(c.name, checksumPrefix))
	if raw, err := base64.StdEncoding.DecodeString(given); err != nil || len(raw) != c.hash.Size() {
		return errorf(ChecksumInvalid, "Value for %s trailing header is invalid.", c.name)
	}
	return &Error{Reason: ChecksumMismatch, Given: given, Computed: want,
		Message: "The " + name + " you specified did not match the calculated checksum."}
}
