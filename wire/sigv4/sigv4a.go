package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
)

// derivePair makes the P-256 key of a SigV4a signer from its shared secret: numbers are drawn from
// HMAC-SHA-256 in counter mode (NIST SP 800-108) until one is below the curve's order minus one; the
// private key is that number plus one (FIPS 186-4, B.4.2).
func derivePair(accessKeyID, secret string) (*ecdsa.PrivateKey, error) {
	curve := elliptic.P256()
	limit := new(big.Int).Sub(curve.Params().N, big.NewInt(2))
	for counter := byte(1); counter < 255; counter++ {
		candidate := new(big.Int).SetBytes(drawKey(accessKeyID, secret, counter))
		if candidate.Cmp(limit) > 0 {
			continue
		}
		var raw [32]byte
		candidate.Add(candidate, big.NewInt(1)).FillBytes(raw[:])
		pair, err := ecdsa.ParseRawPrivateKey(curve, raw[:])
		if err != nil {
			return nil, fmt.Errorf("derive elliptic-curve key: %w", err)
		}
		return pair, nil
	}
	return nil, errors.New("derive elliptic-curve key: no candidate below the order")
}

func drawKey(accessKeyID, secret string, counter byte) []byte {
	h := hmac.New(sha256.New, []byte("AWS4A"+secret))
	var word [4]byte
	binary.BigEndian.PutUint32(word[:], 1)
	h.Write(word[:])
	h.Write([]byte(AlgorithmECDSA))
	h.Write([]byte{0})
	h.Write([]byte(accessKeyID))
	h.Write([]byte{counter})
	binary.BigEndian.PutUint32(word[:], 256)
	h.Write(word[:])
	return h.Sum(nil)
}

func verifyECDSA(key *ecdsa.PublicKey, toSign, signature string) bool {
	raw, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(toSign))
	return ecdsa.VerifyASN1(key, sum[:], raw)
}

func signECDSA(key *ecdsa.PrivateKey, toSign string) (string, error) {
	sum := sha256.Sum256([]byte(toSign))
	raw, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(raw), nil
}
