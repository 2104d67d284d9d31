package lambda

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// A sealer encrypts the environment variables of functions at rest, in an envelope: each is encrypted with a key of its
// own, and that key with the cloud's. The first byte says by whom the key is wrapped, so that keys of KMS have a place.
//
//	1, wrapped key (nonce, key, tag: 60 bytes), nonce, variables as JSON, tag
//
// The function's ARN is authenticated with it: a row that is put in another's place does not open.
type sealer struct{ cloud cipher.AEAD }

const (
	wrappedByCloud = 1
	dataKeySize    = 32
)

var errSealed = errors.New("lambda: environment variables cannot be decrypted")

func newSealer(key []byte) (sealer, error) {
	if len(key) != 32 {
		return sealer{}, fmt.Errorf("the key that seals environment variables has %d bytes, not 32", len(key))
	}
	a, err := newGCM(key)
	return sealer{a}, err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts v's variables; nil has nothing to encrypt.
func (s sealer) seal(f functionID, v *versionRow) error {
	v.Sealed, v.Plain = nil, nil
	if v.Env == nil {
		return nil
	}
	text, err := json.Marshal(v.Env)
	if err != nil {
		return err
	}
	key := make([]byte, dataKeySize)
	rand.Read(key)
	data, err := newGCM(key)
	if err != nil {
		return err
	}
	about := []byte(f.arn())
	sealed := s.cloud.Seal([]byte{wrappedByCloud}, nil, key, about)
	v.Sealed = append(sealed, data.Seal(nil, nil, text, about)...)
	return nil
}

// open decrypts v's variables into v.Env. Rows of before there was a sealer have them plain.
func (s sealer) open(f functionID, v *versionRow) error {
	if v.Sealed == nil {
		v.Env = v.Plain
		return nil
	}
	wrapped := 1 + dataKeySize + s.cloud.Overhead()
	if len(v.Sealed) < wrapped || v.Sealed[0] != wrappedByCloud {
		return errSealed
	}
	about := []byte(f.arn())
	key, err := s.cloud.Open(nil, nil, v.Sealed[1:wrapped], about)
	if err != nil {
		return errSealed
	}
	data, err := newGCM(key)
	if err != nil {
		return err
	}
	text, err := data.Open(nil, nil, v.Sealed[wrapped:], about)
	if err != nil {
		return errSealed
	}
	v.Env = nil
	return json.Unmarshal(text, &v.Env)
}
