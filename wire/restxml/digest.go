package restxml

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"strings"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/httpbind"
	"lambent/wire/plan"
	"lambent/wire/sigv4"
)

// checkDigests holds the body of a request to S3 against the digests in its headers, and puts it back: Content-MD5 and,
// where the model says that the operation takes one, x-amz-checksum-*. Objects' content is checked by the service while it
// is stored, and a checksum that came as a trailer by package sigv4.
func checkDigests(op *service.OperationModel, r *wire.Request, s plan.Slot) error {
	if m := s.Type().Payload; m != nil && m.Type.Kind == plan.Stream || r.Body == nil {
		return nil
	}
	body, err := httpbind.ReadBody(r)
	if err != nil {
		return err
	}
	r.Body = bytes.NewReader(body)
	if err := checkMD5(r, body); err != nil || op.Checksum == "" {
		return err
	}
	for name, values := range r.Header {
		h := sigv4.NewChecksum(name)
		if h == nil {
			if strings.HasPrefix(strings.ToLower(name), "x-amz-checksum-xxhash") {
				return cloud.NotImplemented("The checksum " + strings.ToLower(name))
			}
			continue
		}
		given := strings.TrimSpace(values[0])
		raw, err := base64.StdEncoding.DecodeString(given)
		if err != nil || len(raw) != h.Size() {
			return &cloud.Fault{Code: "InvalidRequest", Message: "Value for " + strings.ToLower(name) + " header is invalid."}
		}
		h.Write(body)
		if !bytes.Equal(h.Sum(nil), raw) {
			algorithm := strings.ToUpper(name[strings.LastIndexByte(name, '-')+1:])
			return &cloud.Fault{Code: "BadDigest", Message: "The " + algorithm + " you specified did not match the calculated checksum."}
		}
	}
	return nil
}

// md5Detail is what S3 says of a digest that does not match.
type md5Detail struct{ ExpectedDigest, CalculatedDigest *string }

func checkMD5(r *wire.Request, body []byte) error {
	given := r.Header.Get("Content-Md5")
	if given == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(given)
	if err != nil || len(raw) != md5.Size {
		return &cloud.Fault{Code: "InvalidDigest", Message: "The Content-MD5 you specified was invalid."}
	}
	sum := md5.Sum(body)
	if bytes.Equal(raw, sum[:]) {
		return nil
	}
	return &cloud.Fault{
		Code: "BadDigest", Message: "The Content-MD5 you specified did not match what we received.",
		Detail: &md5Detail{ExpectedDigest: &given, CalculatedDigest: new(base64.StdEncoding.EncodeToString(sum[:]))},
	}
}
