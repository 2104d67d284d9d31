package sigv4

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"sync"
)

type signingKey = [sha256.Size]byte

// deriveKey makes the key that signs for one day, region and service.
func deriveKey(secret, date, region, service string) signingKey {
	k := hmacSHA256([]byte("AWS4"+secret), date)
	k = hmacSHA256(k[:], region)
	k = hmacSHA256(k[:], service)
	return hmacSHA256(k[:], terminator)
}

func hmacSHA256(key []byte, data string) (sum signingKey) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	h.Sum(sum[:0])
	return sum
}

// keyCacheSize bounds each of the cache's two generations.
const keyCacheSize = 1024

type keyName struct{ secret, date, region, service string }

type pairName struct{ accessKeyID, secret string }

// keyCache remembers derived keys. When the young generation is full it becomes the old one and the old
// one is dropped: whatever is in use is asked for again before that happens twice.
type keyCache struct {
	mu         sync.Mutex // guards the fields below
	young, old map[keyName]signingKey
	pairs      map[pairName]*ecdsa.PrivateKey
}

func (k *keyCache) key(name keyName) signingKey {
	k.mu.Lock()
	key, ok := k.young[name]
	if !ok {
		key, ok = k.old[name]
		if ok {
			k.addLocked(name, key)
		}
	}
	k.mu.Unlock()
	if ok {
		return key
	}
	key = deriveKey(name.secret, name.date, name.region, name.service)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addLocked(name, key)
	return key
}

func (k *keyCache) addLocked(name keyName, key signingKey) {
	if len(k.young) >= keyCacheSize {
		k.young, k.old = nil, k.young
	}
	if k.young == nil {
		k.young = make(map[keyName]signingKey)
	}
	k.young[name] = key
}

// pair returns the elliptic-curve key of a SigV4a signer. Deriving one costs a curve multiplication.
func (k *keyCache) pair(accessKeyID, secret string) (*ecdsa.PrivateKey, error) {
	name := pairName{accessKeyID, secret}
	k.mu.Lock()
	pair, ok := k.pairs[name]
	k.mu.Unlock()
	if ok {
		return pair, nil
	}
	pair, err := derivePair(accessKeyID, secret)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pairs == nil || len(k.pairs) >= keyCacheSize {
		k.pairs = make(map[pairName]*ecdsa.PrivateKey)
	}
	k.pairs[name] = pair
	return pair, nil
}
