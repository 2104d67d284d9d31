package dns

import (
	"context"
	"net"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver is Go's own, over a pipe to Serve.
func resolver(t *testing.T) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go Serve(server)
		t.Cleanup(func() { client.Close() })
		return client, nil
	}}
}

func TestLookup(t *testing.T) {
	r := resolver(t)
	for name, want := range map[string][]string{
		"s3.amazonaws.com.":                  {"127.0.0.1"},
		"Bucket.S3.eu-west-1.AMAZONAWS.com.": {"127.0.0.1"},
		"lambda.eu-west-1.api.aws.":          {"127.0.0.1"},
		"example.com.":                       nil,
		"notamazonaws.com.":                  nil,
		"amazonaws.com.example.org.":         nil,
	} {
		got, err := r.LookupHost(t.Context(), name)
		if !slices.Equal(got, want) || (err != nil) != (want == nil) {
			t.Errorf("%s: %v %v, want %v", name, got, err, want)
		}
		if e, ok := err.(*net.DNSError); err != nil && (!ok || !e.IsNotFound) {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, RecursionDesired: true})
	b.StartQuestions()
	b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName("s3.amazonaws.com."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET})
	query, err := b.Finish()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, query []byte) {
		reply, ok := answer(query)
		if !ok {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil || !m.Response || len(m.Questions) != 1 {
			t.Errorf("%x answered with %x: %v", query, reply, err)
		}
	})
}
