package sts

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"lambent/cloud"
)

type roles map[string]string

func (r roles) RoleTrust(_ context.Context, arn string) (id, document string, maxSeconds int32, found bool, err error) {
	document, found = r[arn]
	return "AROAEXAMPLE", document, 7200, found, nil
}

const (
	arn    = "arn:aws:iam::000000000000:role/path/r"
	closed = "arn:aws:iam::000000000000:role/closed"
)

func newService(t *testing.T) *Service {
	s, err := New(roles{
		arn:    `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"111111111111","Service":"lambda.amazonaws.com"},"Condition":{"StringEquals":{"sts:ExternalId":"x"}}}}`,
		closed: `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}}`,
	}, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAssumeRole(t *testing.T) {
	s := newService(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	root := cloud.Caller{Account: cloud.DefaultAccount, Root: true, ARN: "arn:aws:iam::000000000000:root", Now: now}
	other := cloud.Caller{Account: "111111111111", ARN: "arn:aws:iam::111111111111:user/u", Now: now}
	for _, tt := range []struct {
		name   string
		caller cloud.Caller
		in     AssumeRoleInput
		want   string
	}{
		{"trusted with its external id", other, AssumeRoleInput{RoleArn: new(arn), RoleSessionName: new("s1"), ExternalId: new("x")}, ""},
		{"no external id", other, AssumeRoleInput{RoleArn: new(arn), RoleSessionName: new("s1")}, "AccessDenied"},
		{"not trusted", other, AssumeRoleInput{RoleArn: new(closed), RoleSessionName: new("s1")}, "AccessDenied"},
		{"root", root, AssumeRoleInput{RoleArn: new(closed), RoleSessionName: new("s1")}, ""},
		{"root of another account", cloud.Caller{Account: "111111111111", Root: true, Now: now}, AssumeRoleInput{RoleArn: new(closed), RoleSessionName: new("s1")}, "AccessDenied"},
		{"no such role", root, AssumeRoleInput{RoleArn: new(arn + "x"), RoleSessionName: new("s1")}, "AccessDenied"},
		{"too long", root, AssumeRoleInput{RoleArn: new(arn), RoleSessionName: new("s1"), DurationSeconds: new(int32(7201))}, "ValidationError"},
		{"bad name", root, AssumeRoleInput{RoleArn: new(arn), RoleSessionName: new("a b")}, "ValidationError"},
		{"session policy", root, AssumeRoleInput{RoleArn: new(arn), RoleSessionName: new("s1"), Policy: new("{}")}, "NotImplemented"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := s.assumeRole(context.Background(), tt.caller, &tt.in)
			if got := cloud.FaultCode(err); got != tt.want {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err == nil && (*out.AssumedRoleUser.AssumedRoleId != "AROAEXAMPLE:s1" || !out.Credentials.Expiration.Equal(now.Add(time.Hour))) {
				t.Errorf("%+v", out)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	s := newService(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c, err := s.ForService(context.Background(), "lambda.amazonaws.com", closed, "f", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	secret, who, err := s.Open(c.AccessKeyID, c.SessionToken, now)
	if err != nil || secret != c.SecretAccessKey || who.ARN != "arn:aws:sts::000000000000:assumed-role/closed/f" || who.Root || who.RoleARN != closed {
		t.Errorf("%+v, %v", who, err)
	}
	if _, _, err := s.Open(c.AccessKeyID, c.SessionToken, now.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	if _, _, err := s.Open("ASIAOTHER", c.SessionToken, now); !errors.Is(err, ErrToken) {
		t.Errorf("with another key: %v", err)
	}
	for i := range c.SessionToken {
		b := []byte(c.SessionToken)
		b[i] ^= 1
		if _, _, err := s.Open(c.AccessKeyID, string(b), now); err == nil && !sameBytes(string(b), c.SessionToken) {
			t.Fatalf("a token with character %d changed is accepted", i)
		}
	}
	if _, err := s.ForService(context.Background(), "events.amazonaws.com", closed, "f", now, time.Hour); !errors.Is(err, ErrNotTrusted) {
		t.Errorf("a service that is not trusted: %v", err)
	}
}

// sameBytes reports whether two base64 texts differ in bits of padding only.
func sameBytes(a, b string) bool { return a[:len(a)-3] == b[:len(b)-3] }

func FuzzOpen(f *testing.F) {
	s, err := New(roles{}, make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	c, err := s.issue(arn, "i", "n", time.Unix(1<<40, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.AccessKeyID, c.SessionToken)
	f.Fuzz(func(t *testing.T, key, token string) {
		_, _, _ = s.Open(key, token, time.Unix(0, 0))
	})
}
