package memblob_test

import (
	"testing"

	"lambent/blob/blobtest"
	"lambent/blob/driver"
	"lambent/blob/memblob"
	"lambent/kv/kvtest"
)

func TestExam(t *testing.T) {
	blobtest.Run(t, func(testing.TB) driver.Bucket { return memblob.New() }, kvtest.Mem)
}
