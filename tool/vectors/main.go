// Vectors makes the protocol test vectors of the Smithy project usable from Go: it reads the JSON form of
// their model and writes the cases (wire/vectors/testdata/cases.json) and the Go types that they are about
// (wire/vectors/shapes_test.go), for the protocols that Lambent speaks. Both are committed, so that tests
// need neither Java nor the network.
//
// The model's JSON form comes from a few lines of Java (Maven and a JDK are needed this once):
//
//	cd tool/vectors
//	mvn -q dependency:copy-dependencies -DoutputDirectory=/tmp/vectors
//	java -cp '/tmp/vectors/*' DumpModel.java > /tmp/vectors/model.json
//	go run . -model /tmp/vectors/model.json -out ../../wire/vectors
//
// The vectors are part of Smithy, Copyright Amazon.com, Inc. or its affiliates, under the Apache License 2.0
// (https://github.com/smithy-lang/smithy, smithy-aws-protocol-tests and smithy-protocol-tests).
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	model := flag.String("model", "model.json", "`file` with the JSON form of the model")
	out := flag.String("out", ".", "`folder` to write to")
	flag.Parse()
	if err := run(*model, *out); err != nil {
		log.Fatal("vectors: ", err)
	}
}

func run(model, out string) error {
	text, err := os.ReadFile(model)
	if err != nil {
		return err
	}
	var m struct{ Shapes map[string]*shape }
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", model, err)
	}
	g := &generator{shapes: m.Shapes, done: map[string]string{}}
	g.services()
	src, err := format.Source(g.types.Bytes())
	if err != nil {
		return fmt.Errorf("generated code: %w", err)
	}
	if err := os.WriteFile(filepath.Join(out, "shapes_test.go"), src, 0o666); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "testdata", "cases.json"), g.casesFile(), 0o666)
}

// casesFile writes one case a line.
func (g *generator) casesFile() []byte {
	var b bytes.Buffer
	b.WriteString("[\n")
	for i, c := range g.cases {
		if i > 0 {
			b.WriteString(",\n")
		}
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(c); err != nil {
			log.Fatal(err) // what was decoded can be encoded
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteString("\n]\n")
	return b.Bytes()
}
