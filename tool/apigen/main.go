// Command apigen turns AWS's API models into the types and operation tables of the services.
//
//	apigen import DIR   reads botocore's data folder (…/botocore/data) and writes the intermediate form, models/NAME.json
//	apigen stubs DIR    reads the same and writes wire/boto/shapes_test.go: two operations of every service, for tests
//	apigen [NAME...]    writes service/NAME/api_gen.go from the intermediate form, and direct_gen.go where operations are
//	                    hot; all of them without a name
//
// The intermediate form is committed: it is the models without their documentation, one shape a line, so
// that building needs neither network nor Python and a change of a model reads well in a diff. The models
// are Amazon's, under the Apache License 2.0; see models/NOTICE.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// services lists every service: folder, its folder and version in botocore's data, and the operations that get
// direct code.
var services = []struct{ name, source, version, hot string }{
	{"apigateway", "apigateway", "2015-07-09", ""},
	{"apigatewayv2", "apigatewayv2", "2018-11-29", ""},
	{"cloudformation", "cloudformation", "2010-05-15", ""},
	{"ecr", "ecr", "2015-09-21", ""},
	{"eventbridge", "events", "2015-10-07", "PutEvents"},
	{"iam", "iam", "2010-05-08", ""},
	{"lambda", "lambda", "2015-03-31", ""},
	{"logs", "logs", "2014-03-28", "PutLogEvents"},
	{"s3", "s3", "2006-03-01", ""},
	{"sts", "sts", "2011-06-15", ""},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	models := filepath.Join(root, "tool", "apigen", "models")
	if len(args) == 2 && args[0] == "import" {
		for _, s := range services {
			if err := importModel(args[1], s.source, s.version, filepath.Join(models, s.name+".json")); err != nil {
				return fmt.Errorf("import %s: %w", s.name, err)
			}
		}
		return nil
	}
	if len(args) == 2 && args[0] == "stubs" {
		return writeStubs(args[1], filepath.Join(root, "wire", "boto"))
	}
	wanted := map[string]bool{}
	for _, name := range args {
		wanted[name] = true
	}
	for _, s := range services {
		if len(wanted) > 0 && !wanted[s.name] {
			continue
		}
		src, direct, err := generateFile(filepath.Join(models, s.name+".json"), s.name, strings.Fields(s.hot))
		if err != nil {
			return fmt.Errorf("generate %s: %w", s.name, err)
		}
		dir := filepath.Join(root, "service", s.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "api_gen.go"), src, 0o644); err != nil {
			return err
		}
		if direct == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "direct_gen.go"), direct, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// moduleRoot finds the folder of go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}
