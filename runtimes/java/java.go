// Package java is the runtime of Java functions.
//
// The bootstrap is AWS's own: the runtime interface client and serialization jars that AWS publishes on Maven, and that an
// operator puts on the shelf (folder "java"; pom.xml here says which). They load the function's classes from /var/task,
// /var/task/lib and /opt/java/lib, and know RequestHandler, RequestStreamHandler, plain methods and the event types.
//
// A JVM is started as AWS starts it: serial collector, first compiler tier, 85 % of the memory for the heap.
// The function's JAVA_TOOL_OPTIONS are read by the JVM itself and come after ours.
package java

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lambent/runtimes"
	"lambent/sandbox/driver"
)

// Folder is the shelf's folder with the jars.
const Folder = "java"

//go:embed pom.xml
var pom []byte

// Part is how the jars get there.
func Part() runtimes.Part {
	return runtimes.Part{
		Name: Folder, Use: "AWS's runtime client, without which no Java function runs", Files: map[string][]byte{"pom.xml": pom}, Package: "maven",
		Command: []string{"mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=.", "-DincludeScope=runtime"},
	}
}

// main is the class of the runtime interface client that runs a function.
const main = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"

// identifiers are AWS's, oldest first, each with the version that it means.
var identifiers = []struct{ name, major string }{
	{"java8", "8"}, {"java8.al2", "8"}, {"java11", "11"}, {"java17", "17"}, {"java21", "21"}, {"java25", "25"},
}

// Runtime is the family of Java runtimes.
type Runtime struct {
	found runtimes.Interpreters
	shelf runtimes.Shelf
}

var _ runtimes.Runtime = (*Runtime)(nil)

// New returns the family. search are glob patterns of interpreters; shelf is where the jars are.
func New(search []string, shelf runtimes.Shelf) *Runtime {
	return &Runtime{runtimes.Interpreters{Search: search, Ask: ask, Version: version, Compare: compare}, shelf}
}

// Search is where interpreters usually are. home is the operator's home folder, "" to leave it out.
func Search(home string) []string {
	dirs := []string{"/usr/bin/java", "/usr/lib/jvm/*/bin/java", "/opt/jdk*/bin/java", "/opt/java/*/bin/java"}
	if home != "" {
		dirs = append(dirs, home+"/.sdkman/candidates/java/*/bin/java", home+"/.jdks/*/bin/java", home+"/.asdf/installs/java/*/bin/java")
	}
	return dirs
}

// Names implements runtimes.Runtime.
func (r *Runtime) Names() []string {
	var names []string
	for _, i := range identifiers {
		names = append(names, i.name)
	}
	return names
}

// Installed implements runtimes.Runtime. A JVM without the jars runs nothing and is not listed.
func (r *Runtime) Installed() []runtimes.Version {
	if _, err := r.jars(); err != nil {
		return nil
	}
	var list []runtimes.Version
	for _, i := range r.found.All() {
		list = append(list, runtimes.Version{Name: "java" + i.Major, Version: i.Version, Path: i.Path})
	}
	return list
}

// ask reads the file in which an installation says what it is; starting a JVM would take a hundred times as long. The
// oldest have none, or one with less in it.
func ask(ctx context.Context, path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(path)), "release"))
	if err == nil && strings.Contains(string(b), "JAVA_VERSION=") {
		return string(b), nil
	}
	b, err = exec.CommandContext(ctx, path, "-version").CombinedOutput() // --version came with 9
	return string(b), err
}

// version reads `JAVA_VERSION="17.0.15"` of the file, or `openjdk version "1.8.0_402"` of the program.
func version(printed string) (full, major string, ok bool) {
	_, rest, ok := strings.Cut(printed, "JAVA_VERSION=\"")
	if !ok {
		_, rest, ok = strings.Cut(printed, "version \"")
	}
	full, _, _ = strings.Cut(rest, "\"")
	number := strings.FieldsFunc(strings.TrimPrefix(full, "1."), func(r rune) bool { return r == '.' || r == '_' || r == '-' || r == '+' })
	if !ok || len(number) == 0 {
		return "", "", false
	}
	n, err := strconv.Atoi(number[0])
	return full, number[0], err == nil && n >= 8
}

func compare(a, b string) int {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return cmp.Compare(x, y)
}

// jars returns the host paths of AWS's client and what it needs, in a stable order.
func (r *Runtime) jars() ([]string, error) {
	dir := r.shelf.Find(Folder)
	all, _ := filepath.Glob(filepath.Join(dir, "*.jar"))
	for _, needed := range []string{"aws-lambda-java-runtime-interface-client", "aws-lambda-java-core", "aws-lambda-java-serialization"} {
		if dir == "" || !slices.ContainsFunc(all, func(path string) bool { return strings.HasPrefix(filepath.Base(path), needed+"-") }) {
			return nil, fmt.Errorf("AWS's runtime interface client for Java is not here: %s.jar is missing (lambent runtimes add java)", needed)
		}
	}
	slices.Sort(all)
	return all, nil
}

// Plan implements runtimes.Runtime.
func (r *Runtime) Plan(fn runtimes.Function) (runtimes.Plan, error) {
	var want string
	for _, i := range identifiers {
		if i.name == fn.Runtime {
			want = i.major
		}
	}
	jvm, ok := r.found.Nearest(want)
	if !ok {
		return runtimes.Plan{}, errors.New("no Java of version 8 or newer is installed on this host (on Debian: apt-get install default-jre-headless)")
	}
	jars, err := r.jars()
	if err != nil {
		return runtimes.Plan{}, err
	}
	p := runtimes.Plan{Runtime: "java" + jvm.Major}
	if jvm.Major != want {
		p.Notice = fmt.Sprintf("%s is not installed on this host: the function runs on Java %s", fn.Runtime, jvm.Version)
	}
	env := runtimes.Environment(fn, fn.Runtime, nil)
	p.Spec = jvm.Root()
	var classpath []string
	for _, jar := range jars {
		inside := runtimes.RuntimeDir + "/lib/" + filepath.Base(jar)
		p.Spec.Mounts = append(p.Spec.Mounts, driver.Mount{Source: jar, Target: inside})
		classpath = append(classpath, inside)
	}
	p.Spec.Mounts = append(p.Spec.Mounts, runtimes.CodeMounts(fn)...)
	p.Spec.Argv = argv(jvm, fn, strings.Join(classpath, ":"))
	if wrapper := env["AWS_LAMBDA_EXEC_WRAPPER"]; wrapper != "" {
		p.Spec.Argv = append([]string{wrapper}, p.Spec.Argv...)
	}
	p.Spec.Dir = runtimes.TaskRoot // where the client looks for classes
	p.Spec.Env = runtimes.List(env)
	p.Spec.Limits, p.Spec.TmpBytes, p.Spec.Ports = fn.Limits, fn.TmpBytes, fn.Ports
	return p, nil
}

// KeyStore is where AWS's client looks for the roots that a function trusts.
func (r *Runtime) KeyStore() string { return "/etc/pki/java/cacerts" }

func argv(jvm runtimes.Interpreter, fn runtimes.Function, classpath string) []string {
	list := []string{jvm.Inside}
	if kb := fn.Limits.MemoryBytes >> 10; kb > 0 {
		list = append(list, fmt.Sprintf("-XX:MaxHeapSize=%dk", kb*85/100), fmt.Sprintf("-XX:ReservedCodeCacheSize=%dk", max(kb*5/100, 5<<10)))
	}
	list = append(list, "-XX:+UseSerialGC", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true")
	major, _ := strconv.Atoi(jvm.Major)
	if major >= 9 {
		list = append(list, "--add-opens=java.base/java.io=ALL-UNNAMED") // the client opens its log by descriptor
	}
	if major >= 24 {
		list = append(list, "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")
	}
	return append(list, "-classpath", classpath, main, fn.Handler)
}
