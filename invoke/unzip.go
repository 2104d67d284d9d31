package invoke

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Limits of a function's package.
const (
	MaxCode      = 262_144_000 // bytes unpacked, as on AWS
	maxCodeFiles = 200_000
	maxCodePath  = 1024
)

// A CodeError says what is wrong with a package, in words for its owner.
type CodeError struct{ Message string }

func (e *CodeError) Error() string { return e.Message }

var (
	errNotZip  = &CodeError{"Could not unzip uploaded file. Please check your file, then try to upload again."}
	errEmpty   = &CodeError{"Uploaded file must be a non-empty zip"}
	errTooMuch = &CodeError{fmt.Sprintf("Unzipped size must be smaller than %d bytes", MaxCode)}
)

// unzip writes the package into dir, over the files that are there: no entry can reach outside of it, by name or
// through a link. It returns the bytes written. What an entry declares is not believed: the sum of what it
// really holds is bounded by limit.
func unzip(ctx context.Context, r io.ReaderAt, size int64, dir string, limit int64) (int64, error) {
	if size == 0 {
		return 0, errEmpty
	}
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return 0, errNotZip
	}
	if len(z.File) > maxCodeFiles {
		return 0, &CodeError{fmt.Sprintf("The package holds %d files; at most %d are allowed", len(z.File), maxCodeFiles)}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	u := unpacking{root: root, left: limit}
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if err := u.entry(f); err != nil {
			return 0, err
		}
	}
	if u.files == 0 {
		return 0, errEmpty
	}
	return limit - u.left, nil
}

type unpacking struct {
	root  *os.Root
	left  int64 // bytes that may still be written
	files int
}

func (u *unpacking) entry(f *zip.File) error {
	name := path.Clean(strings.TrimSuffix(f.Name, "/"))
	if len(f.Name) > maxCodePath || strings.ContainsRune(f.Name, 0) || !fs.ValidPath(name) || path.IsAbs(f.Name) {
		return &CodeError{fmt.Sprintf("The package has an entry with an invalid path: %.100q", f.Name)}
	}
	switch mode := f.Mode(); {
	case name == ".":
		return nil
	case mode.IsDir():
		return u.check(name, u.root.MkdirAll(name, 0o755))
	case mode&fs.ModeSymlink != 0:
		return u.link(f, name)
	case mode.IsRegular():
		return u.file(f, name)
	default:
		return &CodeError{fmt.Sprintf("The package has an entry that is neither file, folder nor link: %.100q", f.Name)}
	}
}

func (u *unpacking) file(f *zip.File, name string) error {
	if f.UncompressedSize64 > uint64(u.left) {
		return errTooMuch
	}
	in, err := f.Open()
	if err != nil {
		return errNotZip
	}
	defer in.Close()
	perm := fs.FileMode(0o644)
	if f.Mode()&0o111 != 0 {
		perm = 0o755
	}
	if err := u.parent(name); err != nil {
		return err
	}
	u.root.Remove(name) // of an earlier layer; not to be written through, where it is a link
	out, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return u.check(name, err)
	}
	n, err := io.Copy(out, io.LimitReader(in, u.left+1))
	if cerr := out.Close(); err == nil && cerr != nil {
		return cerr
	}
	u.left -= n
	u.files++
	switch {
	case u.left < 0:
		return errTooMuch
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF), isCorrupt(err):
		return errNotZip
	}
	return err
}

// link makes a symbolic link, if it leads to a place inside the package. Links are read inside the sandbox only, but
// one that leads out is a mistake at best.
func (u *unpacking) link(f *zip.File, name string) error {
	in, err := f.Open()
	if err != nil {
		return errNotZip
	}
	defer in.Close()
	to, err := io.ReadAll(io.LimitReader(in, maxCodePath+1))
	if err != nil {
		return errNotZip
	}
	target := string(to)
	inside := path.Clean(path.Join(path.Dir(name), target))
	if target == "" || len(target) > maxCodePath || path.IsAbs(target) || !fs.ValidPath(inside) {
		return &CodeError{fmt.Sprintf("The package has a link that leads out of it: %.100q -> %.100q", f.Name, target)}
	}
	if err := u.parent(name); err != nil {
		return err
	}
	u.files++
	u.root.Remove(name)
	return u.check(name, u.root.Symlink(target, name))
}

func (u *unpacking) parent(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	return u.check(name, u.root.MkdirAll(dir, 0o755))
}

// check tells what the package does wrong (a file where a folder must be, a way out through a link) from what the disk does.
func (u *unpacking) check(name string, err error) error {
	if err == nil {
		return nil
	}
	if isNoSpace(err) {
		return err
	}
	return &CodeError{fmt.Sprintf("The package cannot be unpacked at %.100q", name)}
}
