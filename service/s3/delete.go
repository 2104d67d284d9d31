package s3

import (
	"context"
	"errors"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// deleteObject answers DeleteObject: without a version it hides the key behind a delete marker where the bucket keeps
// versions, with one it removes exactly that. What is not there is deleted all the same.
func (s *Service) deleteObject(ctx context.Context, c cloud.Caller, in *DeleteObjectInput) (*DeleteObjectOutput, error) {
	if in.IfMatchLastModifiedTime != nil {
		return nil, headerNotImplemented("x-amz-if-match-last-modified-time", "")
	}
	if in.IfMatchSize != nil {
		return nil, headerNotImplemented("x-amz-if-match-size", "")
	}
	var d deletion
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		d, err = s.delete(ctx, tx, c, b, *in.Key, in.VersionId, in.IfMatch)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &DeleteObjectOutput{DeleteMarker: d.marker, VersionId: d.version}, nil
}

// deletion says what a delete did.
type deletion struct {
	marker  *bool   // true when a delete marker was made or removed
	version *string // of the marker made, or of what was removed
}

func (s *Service) delete(ctx context.Context, tx *kv.Tx, c cloud.Caller, b bucket, key string, version, match *string) (deletion, error) {
	if match != nil {
		if err := s.checkDelete(ctx, tx, b, key, version, *match); err != nil {
			return deletion{}, err
		}
	}
	if version != nil {
		return s.deleteVersion(ctx, tx, b, key, *version)
	}
	if b.Versioning == "" {
		return deletion{}, s.remove(ctx, tx, b.Name, key, 1)
	}
	marker := object{Marker: true, Modified: c.Now}
	if err := s.write(ctx, tx, b, key, &marker, nil, conditions{}); err != nil {
		return deletion{}, err
	}
	return deletion{new(true), &marker.Version}, nil
}

func (s *Service) deleteVersion(ctx context.Context, tx *kv.Tx, b bucket, key, version string) (deletion, error) {
	o, seq, err := s.version(ctx, tx, b.Name, key, version)
	if err != nil {
		return deletion{}, err
	}
	d := deletion{version: &version}
	if o == nil {
		return d, nil
	}
	if o.Marker {
		d.marker = new(true)
	}
	return d, s.remove(ctx, tx, b.Name, key, seq)
}

// checkDelete holds If-Match against the version that would go.
func (s *Service) checkDelete(ctx context.Context, tx *kv.Tx, b bucket, key string, version *string, match string) error {
	var o *object
	var err error
	if version != nil {
		o, _, err = s.version(ctx, tx, b.Name, key, *version)
	} else {
		o, _, err = s.latest(ctx, tx, b.Name, key)
	}
	if err != nil {
		return err
	}
	if o == nil || o.Marker {
		return noSuchKey(key)
	}
	if match != "*" && strings.Trim(match, `"`) != o.ETag {
		return preconditionFailed("If-Match")
	}
	return nil
}

// deleteBatch bounds one transaction of DeleteObjects.
const deleteBatch = 100

// deleteObjects answers DeleteObjects, each key for itself.
func (s *Service) deleteObjects(ctx context.Context, c cloud.Caller, in *DeleteObjectsInput) (*DeleteObjectsOutput, error) {
	if n := len(in.Delete.Objects); n == 0 || n > 1000 {
		return nil, malformedXML()
	}
	if _, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	out := &DeleteObjectsOutput{}
	for rest := in.Delete.Objects; len(rest) > 0; {
		n := min(len(rest), deleteBatch)
		if err := s.deleteSome(ctx, c, in, rest[:n], out); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if cloud.Val(in.Delete.Quiet) {
		out.Deleted = nil
	}
	return out, nil
}

// deleteSome deletes ids in one transaction, or in halves when they are too much for one.
func (s *Service) deleteSome(ctx context.Context, c cloud.Caller, in *DeleteObjectsInput, ids []ObjectIdentifier, out *DeleteObjectsOutput) error {
	var deleted []DeletedObject
	var failed []Error
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		deleted, failed = nil, nil
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		for _, id := range ids {
			d, err := s.deleteOne(ctx, tx, c, b, id)
			var f *cloud.Fault
			switch {
			case errors.As(err, &f):
				failed = append(failed, Error{Key: id.Key, VersionId: id.VersionId, Code: &f.Code, Message: &f.Message})
			case err != nil:
				return err
			default:
				deleted = append(deleted, d)
			}
		}
		return nil
	})
	if errors.Is(err, kv.ErrTooLarge) && len(ids) > 1 {
		half := len(ids) / 2
		if err := s.deleteSome(ctx, c, in, ids[:half], out); err != nil {
			return err
		}
		return s.deleteSome(ctx, c, in, ids[half:], out)
	}
	out.Deleted, out.Errors = append(out.Deleted, deleted...), append(out.Errors, failed...)
	return err
}

func (s *Service) deleteOne(ctx context.Context, tx *kv.Tx, c cloud.Caller, b bucket, id ObjectIdentifier) (DeletedObject, error) {
	if id.LastModifiedTime != nil || id.Size != nil {
		return DeletedObject{}, headerNotImplemented("x-amz-if-match-last-modified-time", "")
	}
	if id.VersionId != nil && *id.VersionId == "" {
		id.VersionId = nil
	}
	d, err := s.delete(ctx, tx, c, b, *id.Key, id.VersionId, id.ETag)
	if cloud.FaultCode(err) == "InvalidArgument" {
		return DeletedObject{}, noSuchVersion(*id.Key, *id.VersionId)
	}
	out := DeletedObject{Key: id.Key, VersionId: id.VersionId, DeleteMarker: d.marker}
	if d.marker != nil {
		out.DeleteMarkerVersionId = d.version
	}
	return out, err
}
