// Package cloud holds the words that all rooms share: who calls, what a resource is named, how a
// refusal is said. It imports the standard library only.
package cloud

import (
	"strings"
	"time"
)

// DefaultAccount is the account that the first start of a cloud makes.
const DefaultAccount = "000000000000"

// Partition is the partition of every ARN made here.
const Partition = "aws"

// Caller says who asks, for what, where and when. The gateway makes one for each request after it has
// checked the signature; a room that acts for a user (CloudFormation, a function's event source) makes
// one with the identity it was given. It is a value: copy it and change the copy.
type Caller struct {
	Account string // twelve digits; whose resources the request is about
	Region  string // any region name; a region is a name space
	ARN     string // identity: arn:aws:iam::A:root, :user/N, arn:aws:sts::A:assumed-role/R/S
	UserID  string // unique id as GetCallerIdentity shows it

	AccessKeyID string // the key that signed, "" for calls that the cloud makes itself
	RoleARN     string // role behind an assumed-role session, else ""
	Root        bool   // the account's root: policy never refuses it
	Anonymous   bool   // no signature; only operations that allow it are reached

	Via       string    // service principal acting for the identity ("cloudformation.amazonaws.com"), else ""
	RequestID string    // shown to the client in headers and bodies
	Trace     string    // X-Amzn-Trace-Id of the work that this is part of, "" when it is part of none
	SourceIP  string    // address of the peer, without port
	UserAgent string    // as sent
	Host      string    // host and port by which the client reached the cloud, "" for inner calls
	Secure    bool      // the client came over TLS
	Now       time.Time // the one "now" of this request, UTC
}

// ARNOf returns arn:aws:service:region:account:resource in the caller's account and region.
func (c Caller) ARNOf(service, resource string) string {
	return ARN{Partition, service, c.Region, c.Account, resource}.String()
}

// ARN names one resource. Region and Account are empty where the service leaves them out (S3, IAM's region).
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// ParseARN splits s into its six parts; ok is false when s is not of that form. The resource part may hold colons.
func ParseARN(s string) (a ARN, ok bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, false
	}
	return ARN{p[1], p[2], p[3], p[4], p[5]}, true
}

// Val returns *p, or the zero value for a nil pointer. Members of generated inputs are pointers: nil is "not given".
func Val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Or returns *p, or def for a nil pointer.
func Or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
