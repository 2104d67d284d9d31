package runtimes

import (
	"maps"
	"os"
	"sync"

	"lambent/sandbox/driver"
)

// Where functions find the certificates that they trust.
const (
	caFile     = RuntimeDir + "/ca.pem"     // the cloud's own alone
	bundleFile = RuntimeDir + "/bundle.pem" // and the system's roots
)

// trustEnv are the variables that say so to the languages and SDKs.
var trustEnv = map[string]string{
	"NODE_EXTRA_CA_CERTS": caFile,     // Node.js, beside its own
	"SSL_CERT_FILE":       bundleFile, // OpenSSL and Go
	"AWS_CA_BUNDLE":       bundleFile, // AWS's SDKs that carry roots of their own
	"REQUESTS_CA_BUNDLE":  bundleFile,
}

// keyStoreReader is a family that reads roots from a Java key store and not from PEM files.
type keyStoreReader interface {
	KeyStore() (path string) // inside
}

// Trusts reports whether a variable is one that Trust has set as it is: what stem cells are started with as well.
func Trusts(name, value string) bool { return trustEnv[name] == value && value != "" }

// Trust makes functions trust the cloud's own certificates. ca and bundle are PEM files on the host: the cloud's alone,
// and with the system's roots. A function that sets one of the variables itself keeps its own.
func (s *Set) Trust(ca, bundle string) *Set {
	s.trust = []driver.Mount{{Source: ca, Target: caFile}, {Source: bundle, Target: bundleFile}}
	s.keyStore = sync.OnceValues(func() ([]byte, error) {
		text, err := os.ReadFile(bundle)
		return keyStore(text), err
	})
	return s
}

// trusting returns the function with the variables.
func (s *Set) trusting(fn Function) Function {
	if s.trust != nil {
		env := maps.Clone(trustEnv)
		maps.Copy(env, fn.Env)
		fn.Env = env
	}
	return fn
}

// trusted returns family's plan with the files.
func (s *Set) trusted(family Runtime, p Plan) (Plan, error) {
	if s.trust == nil {
		return p, nil
	}
	if reader, ok := family.(keyStoreReader); ok {
		store, err := s.keyStore()
		if err != nil {
			return p, err
		}
		p.Spec.Files = maps.Clone(p.Spec.Files)
		p.Spec.Files[reader.KeyStore()] = store
	}
	p.Spec.Mounts = append(p.Spec.Mounts, s.trust...)
	if p.Stem != "" {
		p.StemSpec.Mounts = append(p.StemSpec.Mounts, s.trust...)
		p.StemSpec.Env = append(p.StemSpec.Env, List(trustEnv)...)
	}
	return p, nil
}
