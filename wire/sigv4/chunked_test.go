package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"lambent/wire/sigv4"
)

// chunkedRequest is the request of Amazon S3's documentation that uploads 66,560 letters in chunks
// (API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
// Chunks", and the same with a trailer).
func chunkedRequest(trailer bool) *http.Request {
	const a64k, a1k = 65536, 1024
	payload, headers := sigv4.StreamingHMAC, "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
	signatures := []string{"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"}
	if trailer {
		payload, headers = sigv4.StreamingHMACTrailer, "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer"
		signatures = []string{"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"}
	}
	var body bytes.Buffer
	for i, size := range []int{a64k, a1k, 0} {
		fmt.Fprintf(&body, "%x;chunk-signature=%s\r\n%s", size, signatures[i+1], strings.Repeat("a", size))
		if size > 0 {
			body.WriteString("\r\n")
		}
	}
	if trailer {
		body.WriteString("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n")
	}
	body.WriteString("\r\n")
	r := httptest.NewRequest("PUT", "/examplebucket/chunkObject.txt", &body)
	r.Host = "s3.amazonaws.com"
	r.Header = http.Header{
		"X-Amz-Date":                   {"20130524T000000Z"},
		"X-Amz-Storage-Class":          {"REDUCED_REDUNDANCY"},
		"X-Amz-Content-Sha256":         {payload},
		"Content-Encoding":             {"aws-chunked"},
		"X-Amz-Decoded-Content-Length": {strconv.Itoa(a64k + a1k)},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" +
			headers + ",Signature=" + signatures[0]},
	}
	if trailer {
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
	} else {
		r.Header.Set("Content-Length", "66824")
	}
	return r
}

func open(r *http.Request) error {
	c, err := sigv4.Parse(r)
	if err != nil {
		return err
	}
	payload, err := sigv4.Payload(r, c)
	if err != nil {
		return err
	}
	var v sigv4.Verifier
	proof, err := v.Verify(r, c, testSecret, payload, testTime)
	if err != nil {
		return err
	}
	return sigv4.Open(r, payload, proof)
}

func TestPublishedChunks(t *testing.T) {
	for _, trailer := range []bool{false, true} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"at once":     func(r io.Reader) io.Reader { return r },
			"byte-wise":   iotest.OneByteReader,
			"EOF at once": iotest.DataErrReader,
		} {
			t.Run(fmt.Sprintf("trailer %v %s", trailer, name), func(t *testing.T) {
				r := chunkedRequest(trailer)
				r.Body = io.NopCloser(wrap(r.Body))
				if err := open(r); err != nil {
					t.Fatal(explain(err))
				}
				got, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.Repeat("a", 66560); string(got) != want {
					t.Errorf("got %d bytes, want %d letters a", len(got), len(want))
				}
				if r.ContentLength != 66560 || r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Length") != "66560" {
					t.Errorf("head still speaks of chunks: length %d, header %v", r.ContentLength, r.Header)
				}
				if trailer && r.Body.(*sigv4.ChunkedBody).Trailer().Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
					t.Errorf("trailer %v", r.Body.(*sigv4.ChunkedBody).Trailer())
				}
			})
		}
	}
}

func TestTamperedChunks(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new string
		want     sigv4.Reason
	}{
		{"data", "aaaa\r\n", "aaab\r\n", sigv4.ChunkMismatch},
		{"chunk signature", "signature=b474", "signature=b475", sigv4.ChunkMismatch},
		{"trailer value", "sOO8/Q==", "sOO8/R==", sigv4.ChunkMismatch},
		{"trailer name", "crc32c:sOO8", "crc32:sOO8", sigv4.TrailerMalformed},
		{"trailer signature", "signature:d81f", "signature:d81e", sigv4.ChunkMismatch},
		{"chunk size", "10000;", "1000x;", sigv4.ChunkMalformed},
		{"chunk too large", "10000;", "fffff0;", sigv4.LengthMismatch},
		{"last chunk early", "400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n", "0;chunk-signature=1c13\r\n", sigv4.LengthMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := chunkedRequest(true)
			body, _ := io.ReadAll(r.Body)
			changed := strings.Replace(string(body), tt.old, tt.new, 1)
			if changed == string(body) {
				t.Fatalf("%q is not in the body", tt.old)
			}
			r.Body = io.NopCloser(strings.NewReader(changed))
			if err := open(r); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r.Body); reason(err) != tt.want {
				t.Errorf("got %v, want reason %v", err, tt.want)
			}
			// A reader that takes exactly the announced length must not miss it.
			r = chunkedRequest(true)
			r.Body = io.NopCloser(strings.NewReader(changed))
			if err := open(r); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(r.Body, make([]byte, r.ContentLength)); reason(err) != tt.want {
				t.Errorf("reading the announced length: %v, want reason %v", err, tt.want)
			}
		})
	}
	r := chunkedRequest(true)
	body, _ := io.ReadAll(r.Body)
	for _, n := range []int{0, 10, 90, 70000 - 4000, len(body) - 120} {
		r := chunkedRequest(true)
		r.Body = io.NopCloser(bytes.NewReader(body[:n]))
		if err := open(r); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Errorf("cut off after %d bytes: no error", n)
		}
	}
}

func unsignedTrailer(algorithm, value, data string, chunk int) *http.Request {
	var body strings.Builder
	for rest := data; rest != ""; {
		n := min(chunk, len(rest))
		fmt.Fprintf(&body, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	fmt.Fprintf(&body, "0\r\nx-amz-checksum-%s:%s\r\n\r\n", algorithm, value)
	r, err := http.NewRequest("PUT", "http://localhost:4566/bucket/key", strings.NewReader(body.String()))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Encoding", "gzip,aws-chunked")
	r.Header.Set("X-Amz-Content-Sha256", sigv4.StreamingUnsignedTrailer)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)))
	r.Header.Set("X-Amz-Trailer", "x-amz-checksum-"+algorithm)
	if err := sigv4.Sign(r, testCreds, "us-east-1", "s3", testTime); err != nil {
		panic(err)
	}
	return received(r)
}

func TestUnsignedTrailer(t *testing.T) {
	const data = "123456789"
	sha := sha256.Sum256([]byte(data))
	for algorithm, value := range map[string]string{ // the check values of the CRC catalogue
		"crc32":     base64.StdEncoding.EncodeToString([]byte{0xcb, 0xf4, 0x39, 0x26}),
		"crc32c":    base64.StdEncoding.EncodeToString([]byte{0xe3, 0x06, 0x92, 0x83}),
		"crc64nvme": base64.StdEncoding.EncodeToString([]byte{0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88}),
		"sha1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"sha256":    base64.StdEncoding.EncodeToString(sha[:]),
	} {
		t.Run(algorithm, func(t *testing.T) {
			for chunk := 1; chunk <= len(data); chunk++ {
				r := unsignedTrailer(algorithm, value, data, chunk)
				if err := open(r); err != nil {
					t.Fatal(explain(err))
				}
				if got := r.Header.Get("Content-Encoding"); got != "gzip" {
					t.Errorf("Content-Encoding %q, want gzip", got)
				}
				if got, err := io.ReadAll(r.Body); err != nil || string(got) != data {
					t.Errorf("chunks of %d: %q, %v", chunk, got, err)
				}
				r = unsignedTrailer(algorithm, value, strings.Replace(data, "5", "6", 1), chunk)
				if err := open(r); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadAll(r.Body); reason(err) != sigv4.ChecksumMismatch {
					t.Errorf("changed data in chunks of %d: %v, want ChecksumMismatch", chunk, err)
				}
			}
			r := unsignedTrailer(algorithm, "AA==", data, 4)
			if err := open(r); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r.Body); reason(err) != sigv4.ChecksumInvalid {
				t.Errorf("short checksum: %v, want ChecksumInvalid", err)
			}
		})
	}
	r := unsignedTrailer("crc32", "", "", 1)
	r.Header.Del("X-Amz-Decoded-Content-Length")
	if err := open(r); reason(err) != sigv4.Mismatch {
		t.Errorf("a signed header taken away: %v, want Mismatch", err)
	}
	if err := open(unsignedTrailer("crc77", "", "", 1)); reason(err) != sigv4.ChecksumInvalid {
		t.Errorf("unknown checksum: %v, want ChecksumInvalid", err)
	}
}

func TestHashedBody(t *testing.T) {
	for _, length := range []int64{5, -1} {
		r, _ := http.NewRequest("PUT", "http://localhost/b/k", strings.NewReader("hello"))
		if err := sigv4.Sign(r, testCreds, "us-east-1", "s3", testTime); err != nil {
			t.Fatal(err)
		}
		in := received(r)
		in.ContentLength = length
		if err := open(in); err != nil {
			t.Fatal(explain(err))
		}
		if got, err := io.ReadAll(in.Body); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		in = received(r)
		in.ContentLength = length
		in.Body = io.NopCloser(strings.NewReader("jello"))
		if err := open(in); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadAll(in.Body)
		if reason(err) != sigv4.PayloadMismatch {
			t.Errorf("changed body: %v, want PayloadMismatch", err)
		}
	}
}

// TestECDSAChunks signs chunks by hand: no public vectors exist for them.
func TestECDSAChunks(t *testing.T) {
	for _, payload := range []string{sigv4.StreamingECDSA, sigv4.StreamingHMAC} {
		r, _ := http.NewRequest("PUT", "http://localhost/b/k", strings.NewReader("0;chunk-signature=00\r\n\r\n"))
		r.Header.Set("X-Amz-Content-Sha256", payload)
		r.Header.Set("X-Amz-Decoded-Content-Length", "0")
		if err := sigv4.SignA(r, testCreds, "*", "s3", testTime); err != nil {
			t.Fatal(err)
		}
		in := received(r)
		err := open(in)
		if payload == sigv4.StreamingHMAC {
			if reason(err) != sigv4.PayloadInvalid {
				t.Errorf("HMAC chunks under an elliptic-curve signature: %v, want PayloadInvalid", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(explain(err))
		}
		if _, err := io.ReadAll(in.Body); reason(err) != sigv4.ChunkMismatch {
			t.Errorf("wrong chunk signature: %v, want ChunkMismatch", err)
		}
	}
}

func FuzzChunks(f *testing.F) {
	crc := base64.StdEncoding.EncodeToString([]byte{0xcb, 0xf4, 0x39, 0x26})
	f.Add("4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:"+crc+"\r\n\r\n", uint16(9))
	f.Add("0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", uint16(0))
	f.Add("ffffffffffffffff\r\n", uint16(1))
	f.Fuzz(func(t *testing.T, body string, length uint16) {
		r := httptest.NewRequest("PUT", "/b/k", strings.NewReader(body))
		r.Header.Set("X-Amz-Content-Sha256", sigv4.StreamingUnsignedTrailer)
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(int(length)))
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		if err := sigv4.Open(r, sigv4.UnsignedPayload, nil); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		if err != nil {
			if reason(err) == 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("error without a reason: %v", err)
			}
			return
		}
		sum := crc32.ChecksumIEEE(got)
		want := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
		if len(got) != int(length) || r.Body.(*sigv4.ChunkedBody).Trailer().Get("X-Amz-Checksum-Crc32") != want {
			t.Fatalf("accepted %q as %q", body, got)
		}
	})
}
