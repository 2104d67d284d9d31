package lambda

import (
	"encoding/json"
	"strings"
	"testing"

	"lambent/cloud"
)

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"f", "f:1", "function:f:live", "111111111111:function:f", "arn:aws:lambda:us-east-1:111111111111:function:f:$LATEST", "arn:::::", ":"} {
		f.Add(seed, "live")
	}
	c := cloud.Caller{Account: "111111111111", Region: "us-east-1"}
	f.Fuzz(func(t *testing.T, name, qualifier string) {
		r, err := parseName(c, name, qualifier)
		if err != nil {
			return
		}
		if r.name == "" || strings.Contains(r.name, ":") || r.region != c.Region {
			t.Errorf("%q is %+v", name, r)
		}
		again, err := parseName(cloud.Caller{Account: r.account, Region: r.region}, r.qualified(r.qualifier), "")
		if err == nil && again != r {
			t.Errorf("%q is %+v, and its ARN %+v", name, r, again)
		}
	})
}

func FuzzPayload(f *testing.F) {
	for _, seed := range []string{"{}", "{bad", "\"n\x87", "\x99", `{"statusCode":"200","headers":{"a":1},"body":"eA==","isBase64Encoded":true}`, "[[["} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if good, err := checkPayload(p, false); err == nil && !json.Valid(good) {
			t.Errorf("%q is taken for JSON", p)
		}
		if a := parseAnswer(p); a.status < 200 || a.status > 599 {
			t.Errorf("%q answers with %d", p, a.status)
		}
	})
}
