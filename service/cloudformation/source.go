package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"lambent/cloud"
	"lambent/lang/cfn"
)

// text returns the template that a request carries or points to; nil when it does neither.
func (s *Service) text(ctx context.Context, c cloud.Caller, body, location *string) ([]byte, error) {
	switch {
	case body != nil && location != nil:
		return nil, invalid("Cannot specify both TemplateBody and TemplateURL.")
	case body != nil:
		if len(*body) > cfn.MaxBodyBytes {
			return nil, invalid("1 validation error detected: Value '%s' at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d",
				strings.ToValidUTF8((*body)[:64], "")+"…", cfn.MaxBodyBytes)
		}
		return []byte(*body), nil
	case location != nil:
		return s.fetch(ctx, c, *location, "TemplateURL", cfn.MaxBytes)
	}
	return nil, nil
}

// fetch reads the object that a URL names. The URL is never followed: it must be one by which this cloud's
// own objects are known, on AWS's host names or this cloud's.
func (s *Service) fetch(ctx context.Context, c cloud.Caller, location, parameter string, most int) ([]byte, error) {
	bucket, key, region, err := s.object(c, location, parameter)
	if err != nil {
		return nil, err
	}
	if region != "" {
		c.Region = region
	}
	c.Via = principal
	in := map[string]any{"Bucket": bucket, "Key": key}
	out, err := s.call.Call(ctx, c, "s3", "GetObject", in)
	if err != nil {
		return nil, objectFault(err)
	}
	body, ok := out["Body"].(io.ReadCloser)
	if !ok {
		return nil, fmt.Errorf("read %s: the reply has no body", location)
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", location, err)
	}
	if len(text) > most {
		return nil, invalid("Template may not exceed %d bytes in size.", most)
	}
	return text, nil
}

func objectFault(err error) error {
	const more = "\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
	var f *cloud.Fault
	if !errors.As(err, &f) {
		return err
	}
	if missing(err) && f.Code != "NoSuchBucket" {
		return invalid("S3 error: The specified key does not exist.%s", more)
	}
	return invalid("S3 error: %s%s", f.Message, more)
}

// object splits a URL of an object into bucket and key; region is "" when the URL does not say it.
func (s *Service) object(c cloud.Caller, location, parameter string) (bucket, key, region string, err error) {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "", "", "", invalid("%s must reference a valid S3 object to which you have access.", parameter)
	}
	if u.Scheme == "s3" {
		return "", "", "", invalid("S3 error: Domain name specified in %s is not a valid S3 domain", u.Host)
	}
	path := strings.TrimPrefix(u.Path, "/")
	bucket, region, ok := s.bucketHost(c, strings.ToLower(u.Host))
	if u.Scheme != "https" && u.Scheme != "http" || !ok {
		return "", "", "", invalid("%s must be a supported URL.", parameter)
	}
	if bucket == "" {
		bucket, path, _ = strings.Cut(path, "/")
	}
	if bucket == "" || path == "" {
		return "", "", "", invalid("%s must reference a valid S3 object to which you have access.", parameter)
	}
	return bucket, path, region, nil
}

// bucketHost reads the host of an object's URL: bucket is "" when it is the first part of the path; ok is
// false for hosts that are not this cloud's and not S3's.
func (s *Service) bucketHost(c cloud.Caller, host string) (bucket, region string, ok bool) {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	domain, _, err := net.SplitHostPort(s.domain)
	if err != nil {
		domain = s.domain
	}
	if host == strings.ToLower(c.Host) || host == s.domain || name == domain || name == "localhost" || loopback(name) {
		return "", "", true
	}
	for _, suffix := range []string{".amazonaws.com", ".api.aws", "." + domain} {
		labels, found := strings.CutSuffix(name, suffix)
		if !found {
			continue
		}
		return s3Labels(strings.Split(labels, "."))
	}
	return "", "", false
}

func loopback(name string) bool {
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return ip != nil && ip.IsLoopback()
}

// s3Labels reads [bucket.]s3[.dualstack][.region] and [bucket.]s3-region.
func s3Labels(labels []string) (bucket, region string, ok bool) {
	for i := len(labels) - 1; i >= 0; i-- {
		l := labels[i]
		if l != "s3" && !strings.HasPrefix(l, "s3-") {
			continue
		}
		bucket = strings.Join(labels[:i], ".")
		if rest, found := strings.CutPrefix(l, "s3-"); found && rest != "accelerate" {
			region = rest
		}
		for _, after := range labels[i+1:] {
			if after != "dualstack" {
				region = after
			}
		}
		return bucket, region, true
	}
	return "", "", false
}
