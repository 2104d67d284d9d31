package runtimes

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lambent/sandbox/driver"
)

// Paths inside every sandbox, as on AWS.
const (
	TaskRoot   = "/var/task"
	LayerRoot  = "/opt"
	RuntimeDir = "/var/runtime"
	LangDir    = "/var/lang" // where an interpreter from outside the system's folders is shown
)

// HostRoot returns a Spec with the root file system that all runtimes share: the host's programs and libraries read-only,
// and a small /etc of our own. It shows nothing below /home, /root, /var, /srv or /usr/local.
func HostRoot() driver.Spec {
	s := driver.Spec{
		Dirs:  []string{TaskRoot, LayerRoot, RuntimeDir, "/etc", "/var/tmp"},
		Links: make(map[string]string),
		Files: map[string][]byte{
			"/etc/hosts":         []byte("127.0.0.1 localhost\n::1 localhost\n"),
			"/etc/nsswitch.conf": []byte("passwd: files\ngroup: files\nhosts: files dns\n"),
			"/etc/resolv.conf":   []byte("nameserver 127.0.0.1\noptions use-vc timeout:1 attempts:1\n"),
			"/etc/os-release":    []byte("NAME=\"Lambent\"\nID=lambent\nPRETTY_NAME=\"Lambent function sandbox\"\n"),
			"/etc/services":      []byte("http 80/tcp\nhttps 443/tcp\ndomain 53/udp\n"),
		},
	}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64"} {
		if to, err := os.Readlink(dir); err == nil {
			s.Links[dir] = to // merged /usr
		} else {
			show(&s, dir, dir)
		}
	}
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share"} {
		show(&s, dir, dir)
	}
	// Names that the system's own programs and libraries look up; nothing here is about this host.
	for _, name := range []string{"/etc/alternatives", "/etc/ld.so.cache", "/etc/mime.types", "/etc/ssl/certs", "/etc/pki/tls/certs",
		"/etc/pki/ca-trust/extracted", "/etc/mono"} {
		show(&s, name, name)
	}
	settings, _ := filepath.Glob("/etc/java-*-openjdk") // that of a JVM, to which its own folder has links
	for _, name := range settings {
		show(&s, name, name)
	}
	return s
}

// show adds a mount of source when the host has it.
func show(s *driver.Spec, source, target string) {
	if _, err := os.Stat(source); err == nil {
		s.Mounts = append(s.Mounts, driver.Mount{Source: source, Target: target})
	}
}

// An Interpreter is a program of the host that runs functions.
type Interpreter struct {
	Major   string // what identifies it among a family's: "20", "3.12"
	Version string
	Path    string // on the host, links resolved
	Inside  string // in the sandbox
	Prefix  string // installation to show at LangDir, "" when it is one of the system's
}

// System reports whether HostRoot shows path where it is.
func System(path string) bool {
	return slices.ContainsFunc([]string{"/usr/bin/", "/usr/lib/", "/usr/lib64/", "/usr/libexec/", "/bin/"}, func(dir string) bool {
		return strings.HasPrefix(path, dir)
	})
}

// Locate fills in where in the sandbox the interpreter at path is, the path being PREFIX/bin/NAME. It returns false when
// the file cannot be run by an ordinary user.
func Locate(path string) (Interpreter, bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Interpreter{}, false
	}
	fi, err := os.Stat(real)
	if err != nil || fi.IsDir() || fi.Mode().Perm()&0o005 != 0o005 {
		return Interpreter{}, false
	}
	i := Interpreter{Path: real, Inside: real}
	if !System(real) {
		// The bin folder may hold a link to a versioned program beside it: the installation is that of the program.
		bin := filepath.Dir(real)
		i.Prefix = filepath.Dir(bin)
		if filepath.Base(bin) != "bin" || i.Prefix == "/" {
			return Interpreter{}, false
		}
		if fi, err := os.Stat(i.Prefix); err != nil || fi.Mode().Perm()&0o005 != 0o005 {
			return Interpreter{}, false
		}
		i.Inside = filepath.Join(LangDir, "bin", filepath.Base(real))
	}
	return i, true
}

// Root returns HostRoot with the interpreter in it.
func (i Interpreter) Root() driver.Spec {
	s := HostRoot()
	if i.Prefix != "" {
		show(&s, i.Prefix, LangDir)
	}
	return s
}

// Environment returns the variables that every runtime sets, overlaid by the function's own.
func Environment(fn Function, runtime string, defaults map[string]string) map[string]string {
	env := map[string]string{
		"PATH":                     LangDir + "/bin:/usr/local/bin:/usr/bin:/bin:" + LayerRoot + "/bin",
		"LD_LIBRARY_PATH":          strings.Join([]string{LangDir + "/lib", "/lib64", "/usr/lib64", RuntimeDir, RuntimeDir + "/lib", TaskRoot, TaskRoot + "/lib", LayerRoot + "/lib"}, ":"),
		"LANG":                     "en_US.UTF-8",
		"TZ":                       ":UTC",
		"LAMBDA_TASK_ROOT":         TaskRoot,
		"LAMBDA_RUNTIME_DIR":       RuntimeDir,
		"AWS_EXECUTION_ENV":        "AWS_Lambda_" + runtime,
		"AWS_LAMBDA_RUNTIME_API":   driver.DefaultRuntimeAPIAddr,
		"_LAMBDA_TELEMETRY_LOG_FD": "3",
	}
	maps.Copy(env, defaults)
	maps.Copy(env, fn.Env)
	env["_HANDLER"] = fn.Handler
	return env
}

// List returns an environment as a Spec wants it, in a stable order.
func List(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// CodeMounts are the function's own files.
func CodeMounts(fn Function) []driver.Mount {
	m := []driver.Mount{{Source: fn.CodeDir, Target: TaskRoot}}
	if fn.OptDir != "" {
		m = append(m, driver.Mount{Source: fn.OptDir, Target: LayerRoot})
	}
	return m
}
