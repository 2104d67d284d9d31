package runtimes

import (
	"maps"

	"lambent/sandbox/driver"
)

// Where functions find the certificates that they trust.
const (
	caFile     = RuntimeDir + "/ca.pem"     // the cloud's own alone
	bundleFile = RuntimeDir + "/bundle.pem" // and the system's roots
)

// trustEnv are the variables that say so to the languages and SDKs. The Java runtimes know none.
var trustEnv = map[string]string{
	"NODE_EXTRA_CA_CERTS": caFile,     // Node.js, beside its own
	"SSL_CERT_FILE":       bundleFile, // OpenSSL and Go
	"AWS_CA_BUNDLE":       bundleFile, // AWS's SDKs that carry roots of their own
	"REQUESTS_CA_BUNDLE":  bundleFile,
}

// Trusts reports whether a variable is one that Trust has set as it is: what stem cells are started with as well.
func Trusts(name, value string) bool { return trustEnv[name] == value && value != "" }

// Trust makes functions trust the cloud's own certificates. ca and bundle are PEM files on the host: the cloud's alone,
// and with the system's roots. A function that sets one of the variables itself keeps its own.
func (s *Set) Trust(ca, bundle string) *Set {
	s.trust = []driver.Mount{{Source: ca, Target: caFile}, {Source: bundle, Target: bundleFile}}
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

// trusted returns the plan with the files.
func (s *Set) trusted(p Plan) Plan {
	if s.trust == nil {
		return p
	}
	p.Spec.Mounts = append(p.Spec.Mounts, s.trust...)
	if p.Stem != "" {
		p.StemSpec.Mounts = append(p.StemSpec.Mounts, s.trust...)
		p.StemSpec.Env = append(p.StemSpec.Env, List(trustEnv)...)
	}
	return p
}
