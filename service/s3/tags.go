package s3

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// tagRules are the limits of a kind of tag set.
type tagRules struct {
	most   int
	system string // what a key with "aws:" before it is told
}

var (
	bucketTags = tagRules{50, "System tags cannot be added/updated by requester"}
	objectTags = tagRules{10, "Your TagKey cannot be prefixed with aws:"}
)

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// checkTags checks a tag set as S3 does, the first offender first.
func checkTags(tags []Tag, rules tagRules) error {
	seen := map[string]bool{}
	for _, t := range tags {
		if t.Key == nil || t.Value == nil {
			return malformedXML()
		}
		k, v := *t.Key, *t.Value
		switch {
		case seen[k]:
			return fault(400, "InvalidTag", detail{TagKey: &k}, "Cannot provide multiple Tags with the same key")
		case strings.HasPrefix(k, "aws:"):
			return fault(400, "InvalidTag", detail{TagKey: &k}, "%s", rules.system)
		case k == "" || len([]rune(k)) > 128 || !tagText.MatchString(k):
			return fault(400, "InvalidTag", detail{TagKey: &k}, "The TagKey you have provided is invalid")
		case len([]rune(v)) > 256 || !tagText.MatchString(v):
			return fault(400, "InvalidTag", detail{TagKey: &k, TagValue: &v}, "The TagValue you have provided is invalid")
		}
		seen[k] = true
	}
	if len(tags) > rules.most {
		return fault(400, "BadRequest", detail{}, "Object tags cannot be greater than %d", rules.most)
	}
	return nil
}

// parseTagging reads the x-amz-tagging header: a URL query.
func parseTagging(header *string) ([]Tag, error) {
	if cloud.Val(header) == "" {
		return nil, nil
	}
	invalid := invalidArgument("x-amz-tagging", *header,
		"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	var tags []Tag
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(*header, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, errK := url.QueryUnescape(k)
		value, errV := url.QueryUnescape(v)
		if errK != nil || errV != nil || seen[key] {
			return nil, invalid
		}
		seen[key] = true
		tags = append(tags, Tag{Key: &key, Value: &value})
	}
	return tags, checkTags(tags, objectTags)
}

func putTags(tx *kv.Tx, bucket string, tags []Tag) error {
	if len(tags) == 0 {
		tx.Delete(configKey(bucket, configTags))
		return nil
	}
	return kv.PutRow(tx, configKey(bucket, configTags), tags)
}

// systemTags are the tags of a bucket that only AWS's own services may set and take away: here, CloudFormation.
func systemTags(tags []Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		if strings.HasPrefix(cloud.Val(t.Key), "aws:") {
			out[*t.Key] = cloud.Val(t.Value)
		}
	}
	return out
}

// checkBucketTags checks what a bucket's tags are to be. A requester leaves the system tags as they are.
func (s *Service) checkBucketTags(ctx context.Context, r kv.Reader, c cloud.Caller, bucket string, tags []Tag) error {
	own := slices.DeleteFunc(slices.Clone(tags), func(t Tag) bool { return strings.HasPrefix(cloud.Val(t.Key), "aws:") })
	if err := checkTags(own, bucketTags); err != nil || c.Via == "cloudformation.amazonaws.com" {
		return err
	}
	var have []Tag
	if _, err := kv.GetRow(ctx, r, configKey(bucket, configTags), &have); err != nil {
		return err
	}
	is, was := systemTags(tags), systemTags(have)
	for k, v := range is {
		if old, ok := was[k]; !ok || old != v {
			return fault(400, "InvalidTag", detail{TagKey: &k}, "%s", bucketTags.system)
		}
	}
	if len(is) < len(was) {
		return fault(400, "InvalidTag", detail{}, "System tags cannot be removed by requester")
	}
	return nil
}

// putBucketTagging answers PutBucketTagging; an empty set removes the tags.
func (s *Service) putBucketTagging(ctx context.Context, c cloud.Caller, in *PutBucketTaggingInput) (*PutBucketTaggingOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		if err := s.checkBucketTags(ctx, tx, c, b.Name, in.Tagging.TagSet); err != nil {
			return err
		}
		return putTags(tx, b.Name, in.Tagging.TagSet)
	})
	if err != nil {
		return nil, err
	}
	return &PutBucketTaggingOutput{}, nil
}

// getBucketTagging answers GetBucketTagging.
func (s *Service) getBucketTagging(ctx context.Context, c cloud.Caller, in *GetBucketTaggingInput) (*GetBucketTaggingOutput, error) {
	var tags []Tag
	if err := s.viewConfig(ctx, c, in.Bucket, in.ExpectedBucketOwner, configTags, &tags); err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, fault(404, "NoSuchTagSet", detail{BucketName: in.Bucket}, "The TagSet does not exist")
	}
	return &GetBucketTaggingOutput{TagSet: tags}, nil
}

// deleteBucketTagging answers DeleteBucketTagging.
func (s *Service) deleteBucketTagging(ctx context.Context, c cloud.Caller, in *DeleteBucketTaggingInput) (*DeleteBucketTaggingOutput, error) {
	return &DeleteBucketTaggingOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		if err := s.checkBucketTags(ctx, tx, c, b.Name, nil); err != nil {
			return err
		}
		return putTags(tx, b.Name, nil)
	})
}

// retag changes the tags of an object and returns its version for the reply.
func (s *Service) retag(ctx context.Context, c cloud.Caller, l lookup, tags []Tag) (version *string, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		f, err := s.findIn(ctx, tx, c, l)
		if err != nil {
			return err
		}
		if err := checkTags(tags, objectTags); err != nil {
			return err
		}
		f.object.Tags, version = tags, f.object.versionFor(f.bucket)
		return kv.PutRow(tx, versionKey(f.bucket.Name, *l.key, f.seq), f.object)
	})
	return version, err
}

// putObjectTagging answers PutObjectTagging.
func (s *Service) putObjectTagging(ctx context.Context, c cloud.Caller, in *PutObjectTaggingInput) (*PutObjectTaggingOutput, error) {
	v, err := s.retag(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "PUT", false}, in.Tagging.TagSet)
	if err != nil {
		return nil, err
	}
	return &PutObjectTaggingOutput{VersionId: v}, nil
}

// getObjectTagging answers GetObjectTagging.
func (s *Service) getObjectTagging(ctx context.Context, c cloud.Caller, in *GetObjectTaggingInput) (*GetObjectTaggingOutput, error) {
	f, err := s.find(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "GET", false})
	if err != nil {
		return nil, err
	}
	return &GetObjectTaggingOutput{VersionId: f.object.versionFor(f.bucket), TagSet: append([]Tag{}, f.object.Tags...)}, nil
}

// deleteObjectTagging answers DeleteObjectTagging.
func (s *Service) deleteObjectTagging(ctx context.Context, c cloud.Caller, in *DeleteObjectTaggingInput) (*DeleteObjectTaggingOutput, error) {
	v, err := s.retag(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "DELETE", false}, nil)
	if err != nil {
		return nil, err
	}
	return &DeleteObjectTaggingOutput{VersionId: v}, nil
}
