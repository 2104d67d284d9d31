package s3

import (
	"context"
	"fmt"
	"testing"
	"time"

	"lambent/blob/blobtest"
	"lambent/cloud"
	"lambent/kv"
	"lambent/kv/kvtest"
)

// counting counts the rows that are read through it.
type counting struct {
	kv.Reader
	rows int
}

func (c *counting) Scan(ctx context.Context, r kv.Range) ([]kv.KV, error) {
	rows, err := c.Reader.Scan(ctx, r)
	c.rows += len(rows)
	return rows, err
}

// A listing reads rows in proportion to what it returns, not to what lies under its common prefixes or behind its keys.
func TestListingCost(t *testing.T) {
	ctx := context.Background()
	store := kvtest.Mem(t)
	s := New(store.In("s3"), blobtest.Mem(t, store), "localhost")
	c := cloud.Caller{Account: cloud.DefaultAccount, Region: "us-east-1", Now: time.Now()}
	name := "deep"
	if _, err := s.createBucket(ctx, c, &CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	b := bucket{Name: name, Versioning: versioningEnabled}
	write := func(key string, times int) {
		err := s.kv.Update(ctx, func(tx *kv.Tx) error {
			for range times {
				if err := s.write(ctx, tx, b, key, &object{}, nil, conditions{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for dir := range 4 {
		for i := range 1500 {
			write(fmt.Sprintf("dir%d/%04d", dir, i), 1)
		}
		write(fmt.Sprintf("file%d", dir), 1000)
	}
	r := &counting{}
	l := listing{bucket: b}
	err := s.kv.View(ctx, func(view kv.Reader) error {
		r.Reader, r.rows, l = view, 0, listing{bucket: b}
		return l.read(ctx, r, query{bucket: &name, delimiter: new("/")}, maxKeys)
	})
	if err != nil {
		t.Fatal(err)
	}
	if entries := len(l.objects) + len(l.prefixes); entries != 8 || r.rows > 2500 { // of 10,000; the first batch is as large as the page asked for
		t.Errorf("%d objects and %d prefixes cost %d rows", len(l.objects), len(l.prefixes), r.rows)
	}
}
