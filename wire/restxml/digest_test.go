package restxml_test

import (
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire/restxml"
)

func TestDigests(t *testing.T) {
	const body = `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`
	// Of this body, by Python's hashlib and zlib.
	const md5, crc32, sha256 = "RRbNtostJSb8PTpMdgsvng==", "mNlHjg==", "olMRWLJe21cgDlQUDMGxLQr5Q/WW6kZ8L7vtzBYiPMU="
	for _, tt := range []struct {
		name, header, code string
		unchecked          bool // the model does not say that the operation takes a checksum
	}{
		{name: "MD5", header: "Content-MD5=" + md5},
		{name: "CRC32", header: "x-amz-checksum-crc32=" + crc32},
		{name: "SHA256", header: "x-amz-checksum-sha256=" + sha256},
		{name: "wrong MD5", header: "Content-MD5=1B2M2Y8AsgTpgAmY7PhCfg==", code: "BadDigest"},
		{name: "no MD5 at all", header: "Content-MD5=bad", code: "InvalidDigest"},
		{name: "wrong CRC32", header: "x-amz-checksum-crc32=AAAAAA==", code: "BadDigest"},
		{name: "no CRC32 at all", header: "x-amz-checksum-crc32=AAAA", code: "InvalidRequest"},
		{name: "an algorithm that is not here", header: "x-amz-checksum-xxhash64=AAAAAAAAAAA=", code: "NotImplemented"},
		{name: "the object's, not the body's", header: "x-amz-checksum-crc32=AAAAAA==", unchecked: true},
	} {
		op := &service.OperationModel{Name: "CreateBucket", Checksum: "required"}
		if tt.unchecked {
			op.Checksum = ""
		}
		in := &createBucket{}
		err := restxml.Codec{}.Decode(s3, op, request(body, strings.Split(tt.header, "=")[0], tt.header[strings.Index(tt.header, "=")+1:]), in)
		if got := cloud.FaultCode(err); got != tt.code {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
		}
		if err == nil && *in.Config.LocationConstraint != "eu-west-1" {
			t.Errorf("%s: %+v", tt.name, in)
		}
	}
}
