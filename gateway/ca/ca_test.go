package ca_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"lambent/gateway/ca"
)

func open(t *testing.T, dir string) *ca.CA {
	t.Helper()
	a, err := ca.Open(ca.Config{Dir: dir, Domain: "cloud.test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// shake makes a TLS connection in memory and returns the certificate that the client saw.
func shake(a *ca.CA, roots *x509.CertPool, name string) (*x509.Certificate, error) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		s := tls.Server(server, a.TLS())
		_ = s.Handshake()
		_, _ = io.Copy(io.Discard, s)
	}()
	c := tls.Client(client, &tls.Config{ServerName: name, RootCAs: roots})
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0], nil
}

func TestNames(t *testing.T) {
	a := open(t, t.TempDir())
	for name, want := range map[string]bool{
		"localhost": true, "x.localhost": true, "a.b.c.localhost": true, "127.0.0.1": true,
		"cloud.test": true, "abc.execute-api.eu-west-1.cloud.test": true, "CLOUD.test": true,
		"s3.amazonaws.com": true, "b.s3.eu-west-1.amazonaws.com": true, "lambda.eu-west-1.api.aws": true,
		"example.org": false, "amazonaws.com.example.org": false, "notcloud.test": false,
	} {
		cert, err := shake(a, a.Pool(), name)
		if (err == nil) != want {
			t.Errorf("%s: %v, want accepted: %v", name, err, want)
		}
		if err == nil && len(cert.DNSNames) != 1 {
			t.Errorf("%s: a certificate for %v", name, cert.DNSNames)
		}
	}
}

func TestKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	first := open(t, dir)
	info, err := os.Stat(filepath.Join(dir, ca.KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode: %v, %v", info.Mode(), err)
	}
	old, err := os.ReadFile(first.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if now, _ := os.ReadFile(second.CertFile()); !bytes.Equal(old, now) {
		t.Error("the second start made another certificate")
	}
	bundle, err := os.ReadFile(second.BundleFile())
	if err != nil || !bytes.HasSuffix(bundle, old) {
		t.Errorf("the bundle does not hold the certificate (%v)", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	if _, err := shake(first, pool, "localhost"); err != nil {
		t.Errorf("a client that trusts the bundle: %v", err)
	}

	// A certificate that was lost is made again for the same key.
	if err := os.Remove(first.CertFile()); err != nil {
		t.Fatal(err)
	}
	third := open(t, dir)
	if _, err := shake(third, third.Pool(), "localhost"); err != nil {
		t.Error(err)
	}
}

func TestBadKey(t *testing.T) {
	for name, content := range map[string][]byte{
		"no PEM":       []byte("x"),
		"no key in it": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ca.KeyFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ca.Open(ca.Config{Dir: dir}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestManyNames asks for more names than are remembered.
func TestManyNames(t *testing.T) {
	get := open(t, t.TempDir()).TLS().GetCertificate
	for i := range 1500 {
		name := fmt.Sprintf("n%d.localhost", i)
		cert, err := get(&tls.ClientHelloInfo{ServerName: name})
		if err != nil || cert.Leaf.VerifyHostname(name) != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
