package servicetest_test

import (
	"context"
	"flag"
	"testing"

	"lambent/service"
	"lambent/service/servicetest"
	"lambent/service/sts"
)

var rewrite = flag.Bool("rewrite", false, "write the replies in testdata anew")

type noRoles struct{}

func (noRoles) RoleTrust(context.Context, string) (id, document string, maxSeconds int32, found bool, err error) {
	return "", "", 0, false, nil
}

func stsOnly(t testing.TB) []service.Service {
	s, err := sts.New(noRoles{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return []service.Service{s.Service()}
}

func TestConversations(t *testing.T) {
	servicetest.Run(t, "testdata/*.txtar", *rewrite, stsOnly)
}
