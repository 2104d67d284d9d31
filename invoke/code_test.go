package invoke

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archive makes a zip. A name that ends in "@" is a link to its content, one that ends in "!" is executable.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: strings.TrimRight(files[i], "@!"), Method: zip.Deflate}
		switch {
		case strings.HasSuffix(files[i], "@"):
			h.SetMode(fs.ModeSymlink | 0o777)
		case strings.HasSuffix(files[i], "!"):
			h.SetMode(0o755)
		case strings.HasSuffix(files[i], "/"):
			h.SetMode(fs.ModeDir | 0o755)
		default:
			h.SetMode(0o600)
		}
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnzip(t *testing.T) {
	dir := t.TempDir()
	data := archive(t, "index.js", "exports", "lib/", "", "lib/a/b.txt", "deep", "bin/run!", "#!", "link@", "lib/a/b.txt", "lib/up@", "../index.js")
	n, err := unzip(t.Context(), bytes.NewReader(data), int64(len(data)), dir, MaxCode)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len("exports")+len("deep")+len("#!")) {
		t.Errorf("%d bytes", n)
	}
	for name, want := range map[string]string{"index.js": "exports", "lib/a/b.txt": "deep", "link": "deep", "lib/up": "exports"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]fs.FileMode{"index.js": 0o644, "bin/run": 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestUnzipRefuses(t *testing.T) {
	bomb := bytes.Repeat([]byte{0}, MaxCode+1)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "non-empty zip"},
		{"no entries", archive(t), "non-empty zip"},
		{"only folders", archive(t, "a/", ""), "non-empty zip"},
		{"no zip", []byte("not a zip at all"), "Could not unzip"},
		{"cut off", archive(t, "a", "b")[:20], "Could not unzip"},
		{"traversal", archive(t, "../evil", "x"), "invalid path"},
		{"hidden traversal", archive(t, "a/../../evil", "x"), "invalid path"},
		{"absolute", archive(t, "/etc/evil", "x"), "invalid path"},
		{"link out", archive(t, "l@", "../../etc/passwd"), "leads out"},
		{"absolute link", archive(t, "l@", "/etc/passwd"), "leads out"},
		{"through a link", archive(t, "d/", "", "d/up@", "..", "d/up/d/up/f", "x", "f/g", "y", "f", "z"), "cannot be unpacked"},
		{"file as folder", archive(t, "a", "x", "a/b", "y"), "cannot be unpacked"},
		{"bomb", archive(t, "zeros", string(bomb)), "Unzipped size must be smaller than 262144000 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := unzip(t.Context(), bytes.NewReader(tt.data), int64(len(tt.data)), filepath.Join(dir), MaxCode)
			var bad *CodeError
			if !errors.As(err, &bad) || !strings.Contains(bad.Message, tt.want) {
				t.Errorf("error = %v, want a CodeError with %q", err, tt.want)
			}
			if _, err := os.Lstat(filepath.Join(dir, "..", "evil")); err == nil {
				t.Error("a file was written outside")
			}
		})
	}
}

// lyingSize changes the declared sizes of the only entry.
func TestUnzipLies(t *testing.T) {
	data := archive(t, "a", strings.Repeat("x", 1000))
	at := bytes.LastIndex(data, []byte("PK\x01\x02"))
	copy(data[at+24:], []byte{1, 0, 0, 0}) // uncompressed size in the directory
	if _, err := unzip(t.Context(), bytes.NewReader(data), int64(len(data)), t.TempDir(), MaxCode); err == nil {
		t.Error("an entry longer than it says is taken")
	}
}

func FuzzUnzip(f *testing.F) {
	f.Add(archive(f, "index.js", "x", "l@", "index.js", "d/e!", "y"))
	f.Add(archive(f, "../x", "y"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := filepath.Join(t.TempDir(), "in")
		os.Mkdir(dir, 0o755)
		unzip(t.Context(), bytes.NewReader(data), int64(len(data)), dir, MaxCode)
		out, _ := os.ReadDir(filepath.Dir(dir))
		if len(out) != 1 {
			t.Fatalf("something was written outside: %v", out)
		}
	})
}

// TestLayersLieOverOneAnother unpacks several packages into one folder.
func TestLayersLieOverOneAnother(t *testing.T) {
	dir := t.TempDir()
	for _, files := range [][]string{
		{"both", "first", "only/first", "1", "was@", "both"},
		{"both", "second", "only/second", "2", "was", "a file"},
	} {
		data := archive(t, files...)
		if _, err := unzip(t.Context(), bytes.NewReader(data), int64(len(data)), dir, MaxCode); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"both": "second", "only/first": "1", "only/second": "2", "was": "a file"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
}
