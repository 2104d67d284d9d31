package s3_test

import (
	"testing"

	"lambent/blob/blobtest"
	"lambent/kv/kvtest"
	"lambent/service/s3"
	"lambent/service/servicetest"
)

// What the API model does not say of S3's replies, and digests of bodies that are XML or a policy.
func TestWire(t *testing.T) {
	store := kvtest.Mem(t)
	c := servicetest.New(t, s3.New(store.In("s3"), blobtest.Mem(t, store.In("blob")), "localhost").Service())
	const tags = `<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}`
	for _, tt := range []struct {
		method, target, body string
		status               int
		header               string
	}{
		{"PUT", "/bucket", "", 200, ""},
		{"PUT", "/bucket?tagging", tags, 204, ""},
		{"PUT", "/bucket?policy", policy, 204, ""},
		{"PUT", "/bucket?tagging", tags, 400, "Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="},
		{"PUT", "/bucket?policy", policy, 400, "x-amz-checksum-crc32: AAAAAA=="},
		{"PUT", "/bucket?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`, 200, ""},
		{"DELETE", "/bucket?tagging", "", 204, ""},
	} {
		var headers []string
		if tt.header != "" {
			headers = []string{tt.header}
		}
		if r := c.REST("s3", tt.method, tt.target, tt.body, headers...); r.Status != tt.status {
			t.Errorf("%s %s %s: %d %s, want %d", tt.method, tt.target, tt.header, r.Status, r.Body, tt.status)
		}
	}
}
