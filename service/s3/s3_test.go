package s3_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/blob/blobtest"
	"lambent/cloud"
	"lambent/kv/kvtest"
	"lambent/service"
	"lambent/service/s3"
)

// rig is S3 over memory, called as the account's root.
type rig struct {
	*testing.T
	s3     *s3.Service
	ops    map[string]service.Operation
	caller cloud.Caller
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store := kvtest.Mem(t)
	s := s3.New(store.In("s3"), blobtest.Mem(t, store), "localhost:4566")
	r := &rig{T: t, s3: s, ops: map[string]service.Operation{}, caller: cloud.Caller{
		Account: cloud.DefaultAccount, Region: "us-east-1", ARN: "arn:aws:iam::000000000000:root", Root: true,
		Now: time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC),
	}}
	for _, op := range s.Service().Operations {
		r.ops[op.Name] = op
	}
	return r
}

// try calls an operation; each call is a millisecond later than the one before.
func try[O any](r *rig, op string, in any) (*O, error) {
	r.Helper()
	r.caller.Now = r.caller.Now.Add(time.Millisecond)
	out, err := r.ops[op].Handle(context.Background(), r.caller, in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

func do[O any](r *rig, op string, in any) *O {
	r.Helper()
	out, err := try[O](r, op, in)
	if err != nil {
		r.Fatalf("%s: %v", op, err)
	}
	return out
}

// refused calls an operation that must fail with code and, when not empty, a message that holds part.
func refused(r *rig, code, part, op string, in any) *cloud.Fault {
	r.Helper()
	_, err := r.ops[op].Handle(context.Background(), r.caller, in)
	var f *cloud.Fault
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message, part) {
		r.Fatalf("%s: got %v, want %s with %q", op, err, code, part)
	}
	return f
}

func body(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func (r *rig) bucket(name string) {
	r.Helper()
	do[s3.CreateBucketOutput](r, "CreateBucket", &s3.CreateBucketInput{Bucket: &name})
}

func (r *rig) put(bucket, key, content string) *s3.PutObjectOutput {
	r.Helper()
	return do[s3.PutObjectOutput](r, "PutObject", &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: body(content)})
}

func (r *rig) get(in *s3.GetObjectInput) (string, *s3.GetObjectOutput) {
	r.Helper()
	out := do[s3.GetObjectOutput](r, "GetObject", in)
	b, err := io.ReadAll(out.Body)
	if err != nil {
		r.Fatal(err)
	}
	if err := out.Body.Close(); err != nil {
		r.Fatal(err)
	}
	if int64(len(b)) != *out.ContentLength {
		r.Fatalf("Content-Length %d, body of %d bytes", *out.ContentLength, len(b))
	}
	return string(b), out
}

func (r *rig) versioning(bucket, status string) {
	r.Helper()
	do[s3.PutBucketVersioningOutput](r, "PutBucketVersioning", &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &s3.VersioningConfiguration{Status: &status},
	})
}

func etagOf(s string) string {
	sum := md5.Sum([]byte(s))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// conditionOf reads the Condition element that a fault carries.
func conditionOf(t testing.TB, f *cloud.Fault) string {
	t.Helper()
	return *reflect.ValueOf(f.Detail).Elem().FieldByName("Condition").Interface().(*string)
}
