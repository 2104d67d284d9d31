package runtimes

import (
	"os"
	"path/filepath"
)

// A Shelf is a list of folders, the first wins, in which an operator keeps what languages need besides an interpreter: one
// folder for each thing, such as the jars of AWS's client for Java, or an SDK. The folders may be filled while the cloud
// runs; functions see what is there when they are started.
type Shelf []string

// Find returns the host path of the folder called name, "" when the shelf has none or it cannot be read by everybody,
// as functions run as users of their own.
func (s Shelf) Find(name string) string {
	for _, dir := range s {
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.IsDir() && fi.Mode().Perm()&0o005 == 0o005 {
			return path
		}
	}
	return ""
}
