package app

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"lambent/service"
	"lambent/wire/protocol"
)

// openParts opens a cloud in memory without serving it.
func openParts(t *testing.T) *cloudParts {
	l, err := Load(nil, func(name string) (string, bool) { return "", false }, "")
	if err != nil {
		t.Fatal(err)
	}
	l.Memory, l.Listen = true, "127.0.0.1:0"
	p := &cloudParts{config: &l.Config, log: newLog(&l.Config, io.Discard), registry: prometheus.NewRegistry()}
	t.Cleanup(func() {
		for _, c := range backward(p.closers) {
			if err := c(); err != nil {
				t.Error(err)
			}
		}
	})
	for _, open := range []func() error{p.openData, p.listen, p.openStores, p.openCA, p.openServices} {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestCoverageTable holds docs/coverage.md against what is in the binary.
func TestCoverageTable(t *testing.T) {
	p := openParts(t)
	upToDate(t, "coverage.md", coverageTable(p.services, p.resourceTypes))
}

// TestModelsCompile compiles the plan of every operation of every service, which otherwise happens at its first call.
func TestModelsCompile(t *testing.T) {
	for _, s := range openParts(t).services {
		if _, err := protocol.Check(s.API); err != nil {
			t.Errorf("%s: %v", s.API.Name, err)
		}
	}
}

func coverageTable(services []service.Service, types []string) string {
	var b strings.Builder
	b.WriteString("# What is there\n\nMade from the binary by `go test ./app -run Table -update`. An operation that AWS's model has and that is not\nlisted answers `NotImplemented` with HTTP status 501. Parameters that an operation does not honour are refused in the same way.\n\n## Operations\n\n| service | implemented | of | operations |\n|---|---|---|---|\n")
	for _, s := range services {
		var names []string
		for _, op := range s.Operations {
			names = append(names, op.Name)
		}
		slices.Sort(names)
		fmt.Fprintf(&b, "| %s | %d | %d | %s |\n", s.API.ServiceID, len(names), len(s.API.Operations), strings.Join(names, ", "))
	}
	b.WriteString("\n## Resource types of CloudFormation\n\n")
	for _, t := range types {
		fmt.Fprintf(&b, "- `%s`\n", t)
	}
	return b.String()
}
