package sigv4_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"lambent/wire/sigv4"
)

// eventChain returns the chain of a request that was signed at 23:59:59, and the request's signature.
func eventChain(t *testing.T) *sigv4.EventChain {
	t.Helper()
	at := time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)
	creds := sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	r, err := http.NewRequest("POST", "https://transcribestreaming.us-east-1.amazonaws.com/stream-transcription", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.StreamingEvents)
	if err := sigv4.Sign(r, creds, "us-east-1", "transcribe", at); err != nil {
		t.Fatal(err)
	}
	claim, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	var v sigv4.Verifier
	proof, err := v.Verify(r, claim, creds.SecretAccessKey, sigv4.StreamingEvents, at)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := v.Events(proof, creds.SecretAccessKey)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestEventChain(t *testing.T) {
	signer, chain := eventChain(t), eventChain(t)
	at := time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)
	for i, payload := range []string{"first", "second", ""} {
		date := at.Add(time.Duration(i) * time.Second) // midnight comes between the first two
		headers := []byte(fmt.Sprintf("headers %d", i))
		signature := signer.Sign(date, headers, []byte(payload))
		for name, err := range map[string]error{
			"another payload":   chain.Check(date, headers, []byte(payload+"x"), signature),
			"other headers":     chain.Check(date, append(headers, 'x'), []byte(payload), signature),
			"another time":      chain.Check(date.Add(time.Second), headers, []byte(payload), signature),
			"no signature":      chain.Check(date, headers, []byte(payload), nil),
			"another signature": chain.Check(date, headers, []byte(payload), signature[1:]),
		} {
			if e := (*sigv4.Error)(nil); !errors.As(err, &e) || e.Reason != sigv4.ChunkMismatch {
				t.Errorf("event %d, %s: %v", i, name, err)
			}
		}
		if err := chain.Check(date, headers, []byte(payload), signature); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
		if err := chain.Check(date, headers, []byte(payload), signature); err == nil {
			t.Errorf("event %d was taken twice", i)
		}
	}
}

// The signatures were made by the StreamSigner of github.com/aws/aws-sdk-go-v2 1.47.7.
func TestEventChainAgainstSDK(t *testing.T) {
	seed := "2f3b0a6c4d5e8f90112233445566778899aabbccddeeff00112233445566778f"
	chain := sigv4.NewEventChain(seed, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "transcribe")
	at := time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)
	for i, tt := range []struct{ payload, signature string }{
		{"first", "13b57c892d8741a80a19f1f6013fc69028d519837623c80aa0dd1c88980f89ca"},
		{"second", "d97c927b3dd6b29fc8b06ab79f7f3a361021d11d717467aa964e618cb9989269"},
		{"", "83a3223c8848621bfe0c481320f778b54e066f6eeb810b80cb722b59937fd6bd"},
	} {
		signature, err := hex.DecodeString(tt.signature)
		if err != nil {
			t.Fatal(err)
		}
		if err := chain.Check(at.Add(time.Duration(i)*time.Second), []byte(fmt.Sprintf("headers %d", i)), []byte(tt.payload), signature); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
}
