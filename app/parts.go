package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lambent/cli"
	"lambent/runtimes"
	"lambent/runtimes/dotnet"
	"lambent/runtimes/java"
	"lambent/runtimes/nodejs"
	"lambent/runtimes/python"
)

// parts are what `lambent runtimes add` knows.
func parts() []runtimes.Part {
	return []runtimes.Part{java.Part(), dotnet.Part(), nodejs.SDK(), nodejs.SDKv2(), python.SDK()}
}

// shelf is where `lambent runtimes add` puts things. A cloud in memory has no folder of its own that lasts, and takes
// them from the one that would be used without --memory.
func shelf(dataFolders ...string) runtimes.Shelf {
	var s runtimes.Shelf
	for _, dir := range dataFolders {
		if abs, err := filepath.Abs(dir); err == nil { // what a sandbox mounts is named in full
			s = append(s, filepath.Join(abs, "runtimes"))
		}
	}
	return s
}

// Parts implements cli.Server.
func (s Server) Parts(o cli.ServeOptions) ([]cli.Part, error) {
	data, err := s.Data(o)
	if err != nil {
		return nil, err
	}
	var list []cli.Part
	for _, p := range parts() {
		list = append(list, cli.Part{Name: p.Name, Use: p.Use, Path: shelf(data).Find(p.Name)})
	}
	return list, nil
}

// AddPart implements cli.Server.
func (s Server) AddPart(ctx context.Context, o cli.ServeOptions, name, from string) (string, error) {
	data, err := s.Data(o)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(data, 0o711); err != nil { // functions run as other users and reach through it
		return "", explainWrite(data, err)
	}
	var names []string
	for _, p := range parts() {
		if p.Name == name {
			err := shelf(data).Add(ctx, p, from, o.LogTo)
			return shelf(data).Find(name), err
		}
		names = append(names, p.Name)
	}
	return "", fmt.Errorf("there is no %q to add; there are %s", name, strings.Join(names, ", "))
}
