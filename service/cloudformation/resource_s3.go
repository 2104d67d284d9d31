package cloudformation

import (
	"maps"
	"strings"
)

func s3Types() []*resourceType { return []*resourceType{s3Bucket(), s3BucketPolicy()} }

// bucketPart is one part of a bucket's configuration: set by an operation of its own.
type bucketPart struct {
	property string
	put      string // operation
	member   string // of its input
	value    func(w *work) any
	drop     string // operation that takes it away; "" puts the value for no property
}

func bucketParts() []bucketPart {
	return []bucketPart{
		{"BucketEncryption", "PutBucketEncryption", "ServerSideEncryptionConfiguration", bucketEncryption, "DeleteBucketEncryption"},
		{"VersioningConfiguration", "PutBucketVersioning", "VersioningConfiguration", func(w *work) any {
			if v := w.Props["VersioningConfiguration"]; v != nil {
				return v
			}
			return map[string]any{"Status": "Suspended"}
		}, ""},
		{"PublicAccessBlockConfiguration", "PutPublicAccessBlock", "PublicAccessBlockConfiguration", func(w *work) any {
			if v := w.Props["PublicAccessBlockConfiguration"]; v != nil {
				return v
			}
			// As a new bucket has it.
			return map[string]any{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}
		}, ""},
		{"OwnershipControls", "PutBucketOwnershipControls", "OwnershipControls", func(w *work) any {
			if v := w.Props["OwnershipControls"]; v != nil {
				return v
			}
			return map[string]any{"Rules": []any{map[string]any{"ObjectOwnership": "BucketOwnerEnforced"}}}
		}, ""},
		{"CorsConfiguration", "PutBucketCors", "CORSConfiguration", bucketCORS, "DeleteBucketCors"},
		{"LifecycleConfiguration", "PutBucketLifecycleConfiguration", "LifecycleConfiguration", bucketLifecycle, "DeleteBucketLifecycle"},
		{"WebsiteConfiguration", "PutBucketWebsite", "WebsiteConfiguration", bucketWebsite, "DeleteBucketWebsite"},
		{"LoggingConfiguration", "PutBucketLogging", "BucketLoggingStatus", func(w *work) any {
			out := map[string]any{}
			if m, ok := w.Props["LoggingConfiguration"].(map[string]any); ok {
				out["LoggingEnabled"] = map[string]any{"TargetBucket": m["DestinationBucketName"], "TargetPrefix": str(m, "LogFilePrefix")}
			}
			return out
		}, ""},
		{"AccelerateConfiguration", "PutBucketAccelerateConfiguration", "AccelerateConfiguration", func(w *work) any {
			status := str(w.Props, "AccelerateConfiguration", "AccelerationStatus")
			if status == "" {
				status = "Suspended"
			}
			return map[string]any{"Status": status}
		}, ""},
		{"Tags", "PutBucketTagging", "Tagging", func(w *work) any { return map[string]any{"TagSet": tagList(w.Props["Tags"])} }, "DeleteBucketTagging"},
	}
}

func s3Bucket() *resourceType {
	return &resourceType{
		Name: "AWS::S3::Bucket", Service: "s3", Stamped: true, NameLength: 63, NameLower: true,
		Schema: `BucketName@name AccessControl ObjectLockEnabled@new:bool
			BucketEncryption:{ServerSideEncryptionConfiguration!:[{BucketKeyEnabled:bool BlockedEncryptionTypes:absent ServerSideEncryptionByDefault:{SSEAlgorithm! KMSMasterKeyID}}]}
			VersioningConfiguration:{Status!} OwnershipControls:{Rules!:[{ObjectOwnership}]}
			PublicAccessBlockConfiguration:{BlockPublicAcls:bool IgnorePublicAcls:bool BlockPublicPolicy:bool RestrictPublicBuckets:bool}
			CorsConfiguration:{CorsRules!:[{Id AllowedHeaders:[string] AllowedMethods!:[string] AllowedOrigins!:[string] ExposedHeaders:[string] MaxAge:int}]}
			LifecycleConfiguration:{TransitionDefaultMinimumObjectSize Rules!:[{Id Status! Prefix ExpirationInDays:int ExpirationDate
				ExpiredObjectDeleteMarker:bool AbortIncompleteMultipartUpload:{DaysAfterInitiation!:int} TagFilters:[{Key! Value!}]
				ObjectSizeGreaterThan ObjectSizeLessThan NoncurrentVersionExpirationInDays:int
				NoncurrentVersionExpiration:{NoncurrentDays!:int NewerNoncurrentVersions:int}
				NoncurrentVersionTransition:absent
				NoncurrentVersionTransitions:[{StorageClass! TransitionInDays!:int NewerNoncurrentVersions:int}]
				Transitions:[{StorageClass! TransitionInDays:int TransitionDate}] Transition:{StorageClass! TransitionInDays:int TransitionDate}}]}
			WebsiteConfiguration:{IndexDocument ErrorDocument RedirectAllRequestsTo:{HostName! Protocol}
				RoutingRules:[{RedirectRule!:{HostName HttpRedirectCode Protocol ReplaceKeyPrefixWith ReplaceKeyWith}
					RoutingRuleCondition:{HttpErrorCodeReturnedEquals KeyPrefixEquals}}]}
			LoggingConfiguration:{DestinationBucketName LogFilePrefix TargetObjectKeyFormat:absent} AccelerateConfiguration:{AccelerationStatus!}
			NotificationConfiguration:absent ReplicationConfiguration:absent ObjectLockConfiguration:absent AnalyticsConfigurations:absent
			IntelligentTieringConfigurations:absent InventoryConfigurations:absent MetricsConfigurations:absent AbacStatus:absent
			BucketNamePrefix:absent BucketNamespace:absent MetadataConfiguration:absent MetadataTableConfiguration:absent Tags:[{Key! Value!}]`,
		Attributes: []string{"Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"},
		Before: absent(func(w *work) error {
			_, err := w.call("HeadBucket", map[string]any{"Bucket": w.Name})
			return err
		}),
		Create: func(w *work) error {
			in := map[string]any{"Bucket": w.Name, "ACL": cannedACL(w.text("AccessControl"))}
			if w.Region != "us-east-1" {
				in["CreateBucketConfiguration"] = map[string]any{"LocationConstraint": w.Region}
			}
			if w.Props["ObjectLockEnabled"] == true {
				in["ObjectLockEnabledForBucket"] = true
			}
			if rules := items(w.Props, "OwnershipControls", "Rules"); len(rules) > 0 {
				in["ObjectOwnership"] = str(rules[0], "ObjectOwnership")
			}
			if _, err := w.make("CreateBucket", in); err != nil {
				return err
			}
			w.ID = w.Name
			host := w.Name + ".s3." + w.Region + "." + w.Domain
			maps.Copy(w.Attributes, map[string]any{"Arn": "arn:aws:s3:::" + w.Name, "DomainName": host, "DualStackDomainName": host,
				"RegionalDomainName": host, "WebsiteURL": "http://" + w.Name + ".s3-website." + w.Region + "." + w.Domain})
			return w.configureBucket()
		},
		Update: (*work).configureBucket,
		Delete: func(w *work) error {
			_, err := w.call("DeleteBucket", map[string]any{"Bucket": w.ID})
			return err
		},
	}
}

// configureBucket sets the parts that differ from what was, or all that are given for a new bucket.
func (w *work) configureBucket() error {
	for _, p := range bucketParts() {
		given := w.Props[p.property] != nil
		if !w.sets(p.property) {
			continue
		}
		in := map[string]any{"Bucket": w.ID}
		operation := p.put
		if !given && p.drop != "" {
			operation = p.drop
		} else {
			in[p.member] = p.value(w)
		}
		if _, err := w.call(operation, in); err != nil {
			return err
		}
	}
	// A new bucket was made with its ACL. One whose owner owns everything refuses even to be told what it is.
	acl, was := cannedACL(w.text("AccessControl")), cannedACL(str(w.Old, "AccessControl"))
	if acl == was || w.Old == nil {
		return nil
	}
	_, err := w.call("PutBucketAcl", map[string]any{"Bucket": w.ID, "ACL": acl})
	return err
}

// cannedACL turns PublicRead into public-read.
func cannedACL(name string) string {
	if name == "" {
		return "private"
	}
	var b strings.Builder
	for i, r := range name {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func bucketEncryption(w *work) any {
	rules := []any{}
	for _, r := range items(w.Props, "BucketEncryption", "ServerSideEncryptionConfiguration") {
		rule := map[string]any{}
		if d := at(r, "ServerSideEncryptionByDefault"); d != nil {
			rule["ApplyServerSideEncryptionByDefault"] = d
		}
		if k := at(r, "BucketKeyEnabled"); k != nil {
			rule["BucketKeyEnabled"] = k
		}
		rules = append(rules, rule)
	}
	return map[string]any{"Rules": rules}
}

// renamed copies the members of v that are there, by pairs of old and new name.
func renamed(v any, pairs ...string) map[string]any {
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		if e := at(v, pairs[i]); e != nil {
			out[pairs[i+1]] = e
		}
	}
	return out
}

func bucketCORS(w *work) any {
	rules := []any{}
	for _, r := range items(w.Props, "CorsConfiguration", "CorsRules") {
		rules = append(rules, renamed(r, "Id", "ID", "AllowedHeaders", "AllowedHeaders", "AllowedMethods", "AllowedMethods",
			"AllowedOrigins", "AllowedOrigins", "ExposedHeaders", "ExposeHeaders", "MaxAge", "MaxAgeSeconds"))
	}
	return map[string]any{"CORSRules": rules}
}

func bucketLifecycle(w *work) any {
	rules := []any{}
	for _, r := range items(w.Props, "LifecycleConfiguration", "Rules") {
		rule := renamed(r, "Id", "ID", "Status", "Status", "AbortIncompleteMultipartUpload", "AbortIncompleteMultipartUpload",
			"NoncurrentVersionExpiration", "NoncurrentVersionExpiration")
		if e := renamed(r, "ExpirationInDays", "Days", "ExpirationDate", "Date", "ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"); len(e) > 0 {
			rule["Expiration"] = e
		}
		if n := at(r, "NoncurrentVersionExpirationInDays"); n != nil {
			rule["NoncurrentVersionExpiration"] = map[string]any{"NoncurrentDays": n}
		}
		rule["Filter"] = lifecycleFilter(r)
		transitions := []any{}
		one := at(r, "Transition")
		for _, t := range append(items(r, "Transitions"), one) {
			if t != nil {
				transitions = append(transitions, renamed(t, "StorageClass", "StorageClass", "TransitionInDays", "Days", "TransitionDate", "Date"))
			}
		}
		if len(transitions) > 0 {
			rule["Transitions"] = transitions
		}
		noncurrent := []any{}
		for _, t := range items(r, "NoncurrentVersionTransitions") {
			noncurrent = append(noncurrent, renamed(t, "StorageClass", "StorageClass", "TransitionInDays", "NoncurrentDays",
				"NewerNoncurrentVersions", "NewerNoncurrentVersions"))
		}
		if len(noncurrent) > 0 {
			rule["NoncurrentVersionTransitions"] = noncurrent
		}
		rules = append(rules, rule)
	}
	return map[string]any{"Rules": rules}
}

// lifecycleFilter gathers the conditions of a rule: one stands alone, several stand in And.
func lifecycleFilter(r any) map[string]any {
	one := renamed(r, "Prefix", "Prefix", "ObjectSizeGreaterThan", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "ObjectSizeLessThan")
	tags := items(r, "TagFilters")
	switch {
	case len(one)+len(tags) == 0:
		return map[string]any{"Prefix": ""}
	case len(one)+len(tags) > 1:
		if len(tags) > 0 {
			one["Tags"] = tags
		}
		return map[string]any{"And": one}
	case len(tags) == 1:
		return map[string]any{"Tag": tags[0]}
	}
	return one
}

func bucketWebsite(w *work) any {
	c := w.Props["WebsiteConfiguration"]
	out := renamed(c, "RedirectAllRequestsTo", "RedirectAllRequestsTo")
	if k := str(c, "IndexDocument"); k != "" {
		out["IndexDocument"] = map[string]any{"Suffix": k}
	}
	if k := str(c, "ErrorDocument"); k != "" {
		out["ErrorDocument"] = map[string]any{"Key": k}
	}
	rules := []any{}
	for _, r := range items(c, "RoutingRules") {
		rules = append(rules, renamed(r, "RedirectRule", "Redirect", "RoutingRuleCondition", "Condition"))
	}
	if len(rules) > 0 {
		out["RoutingRules"] = rules
	}
	return out
}

func s3BucketPolicy() *resourceType {
	put := func(w *work) error {
		_, err := w.call("PutBucketPolicy", map[string]any{"Bucket": w.text("Bucket"), "Policy": w.document(w.Props["PolicyDocument"])})
		if err == nil {
			w.ID = w.Name
		}
		return err
	}
	return &resourceType{
		Name: "AWS::S3::BucketPolicy", Service: "s3", NameLength: 128,
		Schema: `Bucket!@new PolicyDocument!:json`,
		Create: put,
		Update: put,
		Delete: func(w *work) error {
			_, err := w.call("DeleteBucketPolicy", w.in("Bucket"))
			return err
		},
	}
}
