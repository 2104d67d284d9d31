// Package ca is the cloud's own certificate authority. The first start makes it, in a folder; from then
// on it issues a certificate for any name that the cloud answers to, when a client asks for that name.
//
// Clients trust it by BundleFile, which holds the system's roots and the cloud's own, so that tools that
// know only one bundle still reach the rest of the world. The private key never leaves KeyFile, which
// only the owner can read.
package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Names of the files in a CA's folder.
const (
	KeyFile    = "ca.key"
	CertFile   = "ca.pem"
	BundleFile = "bundle.pem"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	caMargin = 2 * leafLife // a CA that ends sooner is made anew at the start
)

// Config says where a CA lives and whom it vouches for.
type Config struct {
	Dir    string // made if it is not there
	Domain string // the cloud's domain, without port

	// Roots is a PEM file of roots that go into the bundle, "" for the system's.
	Roots string
}

// A CA issues certificates. Its methods may be called from many goroutines at once.
type CA struct {
	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	leaves *leaves
}

// Open reads the CA of a folder, or makes it.
func Open(c Config) (*CA, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	key, err := openKey(filepath.Join(c.Dir, KeyFile))
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	cert, err := openCert(filepath.Join(c.Dir, CertFile), key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	a := &CA{dir: c.Dir, cert: cert, key: key}
	if a.leaves, err = newLeaves(a, c.Domain); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if err := a.writeBundle(c.Roots); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return a, nil
}

// CertFile is the path of the CA's own certificate.
func (a *CA) CertFile() string { return filepath.Join(a.dir, CertFile) }

// BundleFile is the path of the system's roots and the CA's certificate in one file.
func (a *CA) BundleFile() string { return filepath.Join(a.dir, BundleFile) }

// Pool holds the CA's certificate, for clients in Go.
func (a *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// TLS is a server's configuration: HTTP/2 and HTTP/1.1, with a certificate for whatever name of the
// cloud the client asks for.
func (a *CA) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: a.leaves.get,
	}
}

func openKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, not an elliptic-curve key", path, parsed)
	}
	return key, nil
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// openCert reads the CA's certificate. One that is missing, near its end or of another key is replaced:
// the key is what clients' trust rests on, and the bundle is written anew at each start.
func openCert(path string, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && key.PublicKey.Equal(cert.PublicKey) && time.Until(cert.NotAfter) > caMargin {
			return cert, nil
		}
	}
	now := time.Now()
	der, err := makeCert(&x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Lambent"}, CommonName: "Lambent local CA " + now.UTC().Format("2006-01-02 15:04:05")},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if err := writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// makeCert signs a template with a random serial number; without a parent it signs itself.
func makeCert(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	if parent == nil {
		parent = template
	}
	return x509.CreateCertificate(rand.Reader, template, parent, public, signer)
}

// systemRoots are the places where Linux distributions and the BSDs keep their roots.
var systemRoots = []string{
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
}

func (a *CA) writeBundle(roots string) error {
	var bundle bytes.Buffer
	text, err := readRoots(roots)
	if err != nil {
		return err
	}
	bundle.Write(text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		bundle.WriteByte('\n')
	}
	bundle.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	if old, err := os.ReadFile(a.BundleFile()); err == nil && bytes.Equal(old, bundle.Bytes()) {
		return nil
	}
	return writeFile(a.BundleFile(), bundle.Bytes(), 0o644)
}

func readRoots(named string) ([]byte, error) {
	if named != "" {
		return os.ReadFile(named)
	}
	for _, path := range systemRoots {
		if text, err := os.ReadFile(path); err == nil {
			return text, nil
		}
	}
	return nil, nil // a machine without roots reaches nothing but us, before as after
}

// writeFile puts a whole file in place of path, on disk before it returns.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once it is renamed
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
