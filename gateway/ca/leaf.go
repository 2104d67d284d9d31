package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// maxLeaves bounds each of the cache's two generations. Names are the clients' choice, so they must not
// fill the memory; issuing a certificate again costs 0.1 ms.
const maxLeaves = 512

// leaves issues certificates for single names and remembers them. All share one key, which lives as
// long as the process.
type leaves struct {
	ca     *CA
	domain string
	key    *ecdsa.PrivateKey

	mu         sync.Mutex // guards the fields below
	young, old map[string]*tls.Certificate
}

func newLeaves(a *CA, domain string) (*leaves, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &leaves{ca: a, domain: strings.ToLower(domain), key: key, young: map[string]*tls.Certificate{}}, nil
}

// get is a tls.Config's GetCertificate. A client that names nobody connected by address.
func (l *leaves) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name != "" && !l.ours(name) {
		return nil, fmt.Errorf("no certificate for %q: it is not a name of this cloud", name)
	}
	if name == "" && hello.Conn != nil {
		if host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String()); err == nil {
			name = host
		}
	}
	return l.leaf(name)
}

// ours tells whether the cloud answers to a name.
func (l *leaves) ours(name string) bool {
	for _, d := range []string{"localhost", l.domain, "amazonaws.com", "amazonaws.com.cn", "api.aws"} {
		if d != "" && (name == d || strings.HasSuffix(name, "."+d)) {
			return true
		}
	}
	return false
}

func (l *leaves) leaf(name string) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	leaf := l.young[name]
	if leaf == nil {
		leaf = l.old[name]
	}
	if leaf == nil || time.Until(leaf.Leaf.NotAfter) < leafLife/3 {
		var err error
		if leaf, err = l.issue(name); err != nil {
			return nil, err
		}
	}
	if len(l.young) >= maxLeaves {
		l.young, l.old = map[string]*tls.Certificate{}, l.young
	}
	l.young[name] = leaf
	return leaf, nil
}

func (l *leaves) issue(name string) (*tls.Certificate, error) {
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Lambent"}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(leafLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(name); ip != nil || name == "" {
		template.DNSNames = []string{"localhost"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		if ip != nil && !ip.IsLoopback() {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := makeCert(template, l.ca.cert, &l.key.PublicKey, l.ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %q: %w", name, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, l.ca.cert.Raw}, PrivateKey: l.key, Leaf: leaf}, nil
}
