// Package dns is the resolver that functions see: names of AWS are the cloud itself, others there are none.
//
// It speaks DNS over TCP alone: the resolv.conf of a sandbox says use-vc, which glibc, c-ares and Go know, and a
// sandbox's ports are connections.
package dns

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// suffixes are the domains whose names are the cloud.
var suffixes = []string{"amazonaws.com.", "amazonaws.com.cn.", "api.aws."}

const (
	maxQuery = 512             // bytes of a question; a name has at most 255
	idle     = 5 * time.Second // resolvers open a connection for each lookup
	lasts    = 300             // seconds, of an answer
)

// Serve answers the questions of one connection until it ends, and closes it.
func Serve(c net.Conn) {
	defer c.Close()
	for {
		c.SetDeadline(time.Now().Add(idle))
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint16(size[:])
		if n > maxQuery {
			return
		}
		query := make([]byte, n)
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		reply, ok := answer(query)
		if !ok {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// answer returns the reply to a question; false for what is none. A name of the cloud is 127.0.0.1, and has nothing of
// other types, so that a client which asks for both kinds of address goes on with the one. All others do not exist.
func answer(query []byte) ([]byte, bool) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil || head.Response {
		return nil, false
	}
	q, err := p.Question()
	if err != nil {
		return nil, false
	}
	reply := dnsmessage.Header{ID: head.ID, Response: true, OpCode: head.OpCode, RecursionDesired: head.RecursionDesired, RecursionAvailable: true}
	name := strings.ToLower(q.Name.String())
	ours := slices.ContainsFunc(suffixes, func(s string) bool { return name == s || strings.HasSuffix(name, "."+s) })
	switch {
	case head.OpCode != 0:
		reply.RCode = dnsmessage.RCodeNotImplemented
	case !ours:
		reply.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, reply)
	b.StartQuestions()
	if b.Question(q) != nil {
		return nil, false
	}
	b.StartAnswers()
	if reply.RCode == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeA && q.Class == dnsmessage.ClassINET {
		header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: lasts}
		if b.AResource(header, dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}) != nil {
			return nil, false
		}
	}
	bytes, err := b.Finish()
	return bytes, err == nil
}
