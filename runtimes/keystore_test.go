package runtimes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKeyStore lets Java's own tool read the store, and hold it against its checksum.
func TestKeyStore(t *testing.T) {
	if _, err := exec.LookPath("keytool"); err != nil {
		t.Skip("no Java on this host")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var bundle []byte
	for i := range 3 {
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "a root"}, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	file := filepath.Join(t.TempDir(), "cacerts")
	if err := os.WriteFile(file, keyStore(bundle), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("keytool", "-J-Xshare:auto", "-list", "-keystore", file, "-storepass", keyStorePassword).CombinedOutput()
	if err != nil || strings.Count(string(out), "trustedCertEntry") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
}
