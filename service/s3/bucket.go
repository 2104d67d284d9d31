package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// bucket is the row of a bucket: what every request on its objects needs. What few need lies in rows of
// its own under configKey.
type bucket struct {
	Name       string
	Account    string
	Region     string
	Location   string `json:",omitempty"` // the constraint as given where it is not the region's name ("EU")
	Created    time.Time
	Versioning string           `json:",omitempty"` // "", "Enabled", "Suspended"
	Ownership  string           `json:",omitempty"` // "" when its owner removed the controls
	Encryption bucketEncryption `json:",omitzero"`
}

// bucketEncryption is a bucket's default encryption; the zero value is S3's own default, AES256.
type bucketEncryption struct {
	Algorithm string `json:",omitempty"`
	KeyID     string `json:",omitempty"`
	BucketKey bool   `json:",omitempty"`
}

const (
	versioningEnabled   = "Enabled"
	versioningSuspended = "Suspended"

	bucketOwnerEnforced = "BucketOwnerEnforced"
)

// The kinds of rows under configKey.
const (
	configPolicy       = "policy"
	configTags         = "tags"
	configPublicAccess = "publicAccessBlock"
)

func bucketARN(name string) string { return "arn:" + cloud.Partition + ":s3:::" + name }

// createBucket answers CreateBucket. In us-east-1 an owner may create a bucket again, elsewhere not.
func (s *Service) createBucket(ctx context.Context, c cloud.Caller, in *CreateBucketInput) (*CreateBucketOutput, error) {
	if c.Anonymous {
		return nil, accessDenied()
	}
	name := *in.Bucket
	if !validBucketName(name) {
		return nil, fault(400, "InvalidBucketName", detail{BucketName: &name}, "The specified bucket is not valid.")
	}
	b := bucket{Name: name, Account: c.Account, Created: c.Now, Ownership: cloud.Or(in.ObjectOwnership, bucketOwnerEnforced)}
	tags, err := b.configure(c, in)
	if err != nil {
		return nil, err
	}
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		var old bucket
		found, err := kv.GetRow(ctx, tx, bucketKey(name), &old)
		if err != nil {
			return err
		}
		if found {
			return taken(c, old)
		}
		tx.Set(ownedKey(c.Account, name), nil)
		if err := putTags(tx, name, tags); err != nil {
			return err
		}
		if err := kv.PutRow(tx, configKey(name, configPublicAccess), allBlocked()); err != nil {
			return err
		}
		return kv.PutRow(tx, bucketKey(name), b)
	})
	if err != nil && !errors.Is(err, errAlreadyThere) {
		return nil, err
	}
	out := &CreateBucketOutput{Location: new("/" + name), BucketArn: new(bucketARN(name))}
	if c.Region != "us-east-1" {
		out.Location = new(s.bucketURL(c, b) + "/")
	}
	return out, nil
}

// errAlreadyThere ends the transaction of a CreateBucket that has nothing to do and succeeds.
var errAlreadyThere = fault(409, "BucketAlreadyOwnedByYou", detail{}, "")

func taken(c cloud.Caller, old bucket) error {
	if old.Account != c.Account {
		return fault(409, "BucketAlreadyExists", detail{BucketName: &old.Name},
			"The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")
	}
	if old.Region == "us-east-1" && c.Region == "us-east-1" {
		return errAlreadyThere
	}
	return fault(409, "BucketAlreadyOwnedByYou", detail{BucketName: &old.Name},
		"Your previous request to create the named bucket succeeded and you already own it.")
}

// configure checks what CreateBucket asks for beyond a name, and sets the bucket's region.
func (b *bucket) configure(c cloud.Caller, in *CreateBucketInput) ([]Tag, error) {
	if cloud.Val(in.ObjectLockEnabledForBucket) {
		return nil, notImplemented("S3 Object Lock is not implemented")
	}
	if in.BucketNamespace != nil && *in.BucketNamespace != "global" {
		return nil, notImplemented("the bucket namespace %s is not implemented", *in.BucketNamespace)
	}
	if o := in.ObjectOwnership; o != nil && !validOwnership(*o) {
		return nil, fault(400, "InvalidArgument", detail{ArgumentName: new("x-amz-object-ownership")}, "Invalid x-amz-object-ownership header: %s", *o)
	}
	granted := in.GrantFullControl != nil || in.GrantRead != nil || in.GrantReadACP != nil || in.GrantWrite != nil || in.GrantWriteACP != nil
	if err := checkBucketACL(b.Ownership, in.ACL, granted); err != nil {
		return nil, err
	}
	cfg := cloud.Val(in.CreateBucketConfiguration)
	if cfg.Bucket != nil || cfg.Location != nil {
		return nil, notImplemented("directory buckets are not implemented")
	}
	if err := checkTags(cfg.Tags, bucketTags); err != nil {
		return nil, err
	}
	return cfg.Tags, b.locate(c.Region, cfg.LocationConstraint)
}

// regionName is the form of a region's name; any name of that form is a region here.
var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// locate sets the bucket's region from the endpoint's and the constraint, by AWS's rules: the endpoint of
// us-east-1 creates anywhere but takes no constraint naming itself, others only create at home.
func (b *bucket) locate(endpoint string, constraint *string) error {
	want := cloud.Val(constraint)
	if endpoint != "us-east-1" {
		if want != endpoint {
			return fault(400, "IllegalLocationConstraintException", detail{},
				"The %s location constraint is incompatible for the region specific endpoint this request was sent to.", cloud.Or(nonEmpty(want), "unspecified"))
		}
		b.Region = want
		return nil
	}
	switch {
	case want == "":
		b.Region = "us-east-1"
	case want == "EU":
		b.Region, b.Location = "eu-west-1", want
	case want == "us-east-1" || !regionName.MatchString(want):
		return fault(400, "InvalidLocationConstraint", detail{LocationConstraint: &want}, "The specified location-constraint is not valid")
	default:
		b.Region = want
	}
	return nil
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// validBucketName follows the naming rules for general purpose buckets in the S3 user guide.
func validBucketName(name string) bool {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return false
	}
	for _, p := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, p) {
			return false
		}
	}
	for _, p := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, p) {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

// bucketURL is where the bucket answers, as far as the caller can know.
func (s *Service) bucketURL(c cloud.Caller, b bucket) string {
	scheme := "http://"
	if c.Secure {
		scheme = "https://"
	}
	if c.Host != "" && !strings.HasPrefix(c.Host, b.Name+".") {
		return scheme + c.Host + "/" + b.Name
	}
	if c.Host != "" {
		return scheme + c.Host
	}
	return scheme + b.Name + ".s3." + b.Region + "." + s.domain
}

// bucket reads a bucket that the caller may touch.
func (s *Service) bucket(ctx context.Context, r kv.Reader, c cloud.Caller, name, expectedOwner *string) (bucket, error) {
	var b bucket
	if c.Anonymous {
		return b, accessDenied()
	}
	if expectedOwner != nil && !isAccount(*expectedOwner) {
		return b, fault(400, "InvalidBucketOwnerAWSAccountID", detail{},
			"The value of the expected bucket owner parameter must be an AWS Account ID... [%s]", *expectedOwner)
	}
	found, err := kv.GetRow(ctx, r, bucketKey(*name), &b)
	if err != nil {
		return b, err
	}
	if !found {
		return b, noSuchBucket(*name)
	}
	// Another account's bucket needs a bucket policy that admits the caller; until those are evaluated, no.
	if b.Account != c.Account || expectedOwner != nil && *expectedOwner != b.Account {
		return b, accessDenied()
	}
	return b, nil
}

// viewBucket reads a bucket in a transaction of its own.
func (s *Service) viewBucket(ctx context.Context, c cloud.Caller, name, expectedOwner *string) (b bucket, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		b, err = s.bucket(ctx, r, c, name, expectedOwner)
		return err
	})
	return b, err
}

// changeBucket lets change alter a bucket's row.
func (s *Service) changeBucket(ctx context.Context, c cloud.Caller, name, expectedOwner *string, change func(*bucket) error) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		b, err := s.bucket(ctx, tx, c, name, expectedOwner)
		if err != nil {
			return err
		}
		if err := change(&b); err != nil {
			return err
		}
		return kv.PutRow(tx, bucketKey(b.Name), b)
	})
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// headBucket answers HeadBucket.
func (s *Service) headBucket(ctx context.Context, c cloud.Caller, in *HeadBucketInput) (*HeadBucketOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &HeadBucketOutput{BucketRegion: &b.Region, BucketArn: new(bucketARN(b.Name)), AccessPointAlias: new(false)}, nil
}

// getBucketLocation answers GetBucketLocation; us-east-1 is no location at all.
func (s *Service) getBucketLocation(ctx context.Context, c cloud.Caller, in *GetBucketLocationInput) (*GetBucketLocationOutput, error) {
	b, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	out := &GetBucketLocationOutput{}
	switch {
	case b.Location != "":
		out.LocationConstraint = &b.Location
	case b.Region != "us-east-1":
		out.LocationConstraint = &b.Region
	}
	return out, nil
}

// listBuckets answers ListBuckets: the account's buckets in all regions, in order of their names.
func (s *Service) listBuckets(ctx context.Context, c cloud.Caller, in *ListBucketsInput) (*ListBucketsOutput, error) {
	if c.Anonymous {
		return nil, accessDenied()
	}
	limit := int(cloud.Or(in.MaxBuckets, 10_000))
	if limit < 1 || limit > 10_000 {
		return nil, invalidArgument("max-buckets", "", "Argument max-buckets must be an integer between 1 and 10000")
	}
	after, ok := openToken(cloud.Val(in.ContinuationToken))
	if !ok {
		return nil, invalidArgument("continuation-token", *in.ContinuationToken, "The continuation token provided is incorrect")
	}
	out := &ListBucketsOutput{Owner: owner(c.Account), Prefix: in.Prefix, Buckets: []Bucket{}}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		out.Buckets, out.ContinuationToken = out.Buckets[:0], nil
		rows, err := r.Scan(ctx, kv.Prefix("owned", c.Account))
		if err != nil {
			return err
		}
		names := make([][]byte, 0, len(rows))
		for _, row := range rows {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			if name := parts[2].(string); name > after && strings.HasPrefix(name, cloud.Val(in.Prefix)) {
				names = append(names, bucketKey(name))
			}
		}
		values, err := r.GetAll(ctx, names...)
		if err != nil {
			return err
		}
		return out.fill(values, in.BucketRegion, limit)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (out *ListBucketsOutput) fill(rows [][]byte, region *string, limit int) error {
	for _, row := range rows {
		var b bucket
		if err := kv.DecodeRow(row, &b); err != nil {
			return err
		}
		if region != nil && *region != b.Region {
			continue
		}
		if len(out.Buckets) == limit {
			out.ContinuationToken = new(sealToken(*out.Buckets[limit-1].Name))
			return nil
		}
		out.Buckets = append(out.Buckets, Bucket{
			Name: new(b.Name), CreationDate: new(seconds(b.Created)), BucketRegion: new(b.Region), BucketArn: new(bucketARN(b.Name)),
		})
	}
	return nil
}

// deleteBucket answers DeleteBucket. Uploads in progress do not keep a bucket alive; they end with it.
func (s *Service) deleteBucket(ctx context.Context, c cloud.Caller, in *DeleteBucketInput) (*DeleteBucketOutput, error) {
	for {
		uploads, err := s.removeBucket(ctx, c, in)
		if err != nil {
			return nil, err
		}
		if len(uploads) == 0 {
			return &DeleteBucketOutput{}, nil
		}
		for _, u := range uploads {
			if err := s.endUpload(ctx, *in.Bucket, u.key, u.id); err != nil {
				return nil, err
			}
		}
	}
}

// removeBucket removes the bucket, or returns uploads that must end first: each of those is a transaction of
// its own, because many large uploads do not fit into one.
func (s *Service) removeBucket(ctx context.Context, c cloud.Caller, in *DeleteBucketInput) (uploads []uploadName, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		uploads = nil
		b, err := s.bucket(ctx, tx, c, in.Bucket, in.ExpectedBucketOwner)
		if err != nil {
			return err
		}
		base := objectsOf(b.Name)
		left, err := tx.Scan(ctx, kv.Range{Begin: base, End: afterPrefix(base, ""), Limit: 1})
		if err != nil {
			return err
		}
		if len(left) > 0 {
			if b.Versioning != "" {
				return fault(409, "BucketNotEmpty", detail{BucketName: &b.Name},
					"The bucket you tried to delete is not empty. You must delete all versions in the bucket.")
			}
			return fault(409, "BucketNotEmpty", detail{BucketName: &b.Name}, "The bucket you tried to delete is not empty")
		}
		if uploads, err = someUploads(ctx, tx, b.Name); err != nil || len(uploads) > 0 {
			return err
		}
		tx.Delete(bucketKey(b.Name))
		tx.Delete(ownedKey(b.Account, b.Name))
		config := kv.Prefix("config", b.Name)
		tx.DeleteRange(config.Begin, config.End)
		return nil
	})
	return uploads, err
}

// owner names an account the way S3 does, by a canonical id of its own.
func owner(account string) *Owner { return &Owner{ID: new(canonicalID(account))} }

func canonicalID(account string) string {
	sum := sha256.Sum256([]byte("lambent canonical user of " + account))
	return hex.EncodeToString(sum[:])
}

// seconds cuts a time to what S3 shows; finer, and If-Modified-Since with the shown time would not match.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
