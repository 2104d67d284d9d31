package s3

import (
	"strings"
	"time"

	"lambent/cloud"
)

// conditions are those of a write: about what it replaces.
type conditions struct {
	match  string // the ETag that the current version must have, "" when not asked
	absent bool   // there must be no current version
	since  time.Time
}

// writeConditions reads If-Match and If-None-Match of a write, which take less than those of a read.
func writeConditions(match, noneMatch *string) (conditions, error) {
	switch {
	case match != nil && noneMatch != nil:
		return conditions{}, headerNotImplemented("If-Match,If-None-Match", "Multiple conditional request headers present in the request")
	case match != nil && *match == "*":
		return conditions{}, headerNotImplemented("If-Match", "We don't accept the provided value of If-Match header for this API")
	case noneMatch != nil && *noneMatch != "*":
		return conditions{}, headerNotImplemented("If-None-Match", "We don't accept the provided value of If-None-Match header for this API")
	case match != nil:
		return conditions{match: strings.Trim(*match, `"`)}, nil
	}
	return conditions{absent: noneMatch != nil}, nil
}

// check holds the conditions against the current version; a delete marker is no object.
func (cond conditions) check(key string, latest *object) error {
	exists := latest != nil && !latest.Marker
	if cond.absent && exists {
		return preconditionFailed("If-None-Match")
	}
	if cond.match == "" {
		return nil
	}
	if !exists {
		return noSuchKey(key)
	}
	if latest.ETag != cond.match {
		return preconditionFailed("If-Match")
	}
	if !cond.since.IsZero() && latest.Modified.After(cond.since) {
		return fault(409, "ConditionalRequestConflict", detail{Condition: new("If-Match"), Key: &key},
			"The conditional request cannot succeed due to a conflicting operation against this resource.")
	}
	return nil
}

// readConditions are those of a read, about what it would return.
type readConditions struct {
	match, noneMatch          *string
	modifiedSince, unmodified *time.Time
	copying                   bool // of a copy's source: each failure is 412, under the header's own name
}

// check holds the conditions against o by the rules of RFC 9110: an ETag that matches outweighs a date.
func (cond readConditions) check(now time.Time, o *object) error {
	prefix := ""
	if cond.copying {
		prefix = "x-amz-copy-source-"
	}
	modified := seconds(o.Modified)
	if cond.match != nil && !etagIn(*cond.match, o.ETag) {
		return preconditionFailed(prefix + "If-Match")
	}
	if t := cond.unmodified; t != nil && cond.match == nil && modified.After(*t) {
		return preconditionFailed(prefix + "If-Unmodified-Since")
	}
	unchanged := ""
	switch t := cond.modifiedSince; {
	case cond.noneMatch != nil:
		if etagIn(*cond.noneMatch, o.ETag) {
			unchanged = "If-None-Match"
		}
	case t != nil && !modified.After(*t) && !t.After(now): // a date to come says nothing
		unchanged = "If-Modified-Since"
	}
	switch {
	case unchanged == "":
		return nil
	case cond.copying:
		return preconditionFailed(prefix + unchanged)
	}
	return &cloud.Fault{Code: "NotModified", Message: "Not Modified", Status: 304}
}

// etagIn reports whether a header's list of ETags holds etag; quotes may be missing, as S3 allows.
func etagIn(list, etag string) bool {
	for e := range strings.SplitSeq(list, ",") {
		e = strings.Trim(strings.TrimPrefix(strings.TrimSpace(e), "W/"), `"`)
		if e == "*" || e == etag {
			return true
		}
	}
	return false
}
