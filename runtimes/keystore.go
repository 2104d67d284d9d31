package runtimes

import (
	"crypto/sha1" // the format's own
	"encoding/binary"
	"encoding/pem"
	"strconv"
	"unicode/utf16"
)

// keyStorePassword is the one that every Java's own store has. It keeps nothing secret.
const keyStorePassword = "changeit"

// keyStore writes the certificates of a PEM file as a Java key store (JKS, version 2), which Java reads without a word
// about its kind.
func keyStore(bundle []byte) []byte {
	const magic, version, trusted = 0xfeedfeed, 2, 2
	var certs [][]byte
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certs = append(certs, block.Bytes)
		}
	}
	text := func(b []byte, s string) []byte { return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) }
	b := binary.BigEndian.AppendUint32(nil, magic)
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(certs)))
	for i, cert := range certs {
		b = binary.BigEndian.AppendUint32(b, trusted)
		b = text(b, strconv.Itoa(i))
		b = binary.BigEndian.AppendUint64(b, 0) // when it was added
		b = text(b, "X.509")
		b = binary.BigEndian.AppendUint32(b, uint32(len(cert)))
		b = append(b, cert...)
	}
	sum := sha1.New()
	for _, unit := range utf16.Encode([]rune(keyStorePassword)) {
		sum.Write(binary.BigEndian.AppendUint16(nil, unit))
	}
	sum.Write([]byte("Mighty Aphrodite"))
	sum.Write(b)
	return sum.Sum(b)
}
