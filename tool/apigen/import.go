package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// botocoreModel reads one model of botocore.
func botocoreModel(data, source, version string) (*model, error) {
	f, err := os.Open(filepath.Join(data, source, version, "service-2.json.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	m := &model{}
	return m, json.NewDecoder(z).Decode(m)
}

// importModel reads one model of botocore and writes its intermediate form to file.
func importModel(data, source, version, file string) error {
	m, err := botocoreModel(data, source, version)
	if err != nil {
		return err
	}
	out, err := m.intermediate()
	if err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o644)
}

// intermediate writes m with one operation and one shape a line.
func (m *model) intermediate() ([]byte, error) {
	var b bytes.Buffer
	meta, err := json.Marshal(m.Metadata)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "{\"metadata\":%s,\n\"operations\":{\n", meta)
	if err := writeLines(&b, m.Operations); err != nil {
		return nil, err
	}
	b.WriteString("},\n\"shapes\":{\n")
	if err := writeLines(&b, m.Shapes); err != nil {
		return nil, err
	}
	b.WriteString("}}\n")
	return b.Bytes(), nil
}

func writeLines[T any](b *bytes.Buffer, o ordered[T]) error {
	for i, name := range o.names {
		v, err := json.Marshal(o.m[name])
		if err != nil {
			return err
		}
		comma := ","
		if i == len(o.names)-1 {
			comma = ""
		}
		fmt.Fprintf(b, "%q:%s%s\n", name, v, comma)
	}
	return nil
}
