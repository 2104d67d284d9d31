// Package conformance runs real clients, unmodified, against the real binary: each script/*.txtar is a
// story that anyone can read and run. install.sh in tools/ brings the clients.
package conformance

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// root is the module's folder.
const root = ".."

func TestScripts(t *testing.T) {
	tools := toolsFolder(t)
	bin := build(t)
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+":"+filepath.Join(tools, "bin")+":"+os.Getenv("PATH"))
			e.Setenv("NODE_PATH", filepath.Join(tools, "npm", "node_modules"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("LAMBENT_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("EXAMPLES", filepath.Join(repository, "examples"))
			for _, kv := range [][2]string{
				{"SLS_TELEMETRY_DISABLED", "1"}, {"SLS_NOTIFICATIONS_MODE", "off"}, {"SLS_INTERACTIVE_SETUP_ENABLE", ""},
				{"SLS_DEPRECATION_NOTIFICATION_MODE", "warn:summary"}, {"CI", "1"}, {"AWS_PAGER", ""}, {"NODE_NO_WARNINGS", "1"},
			} {
				e.Setenv(kv[0], kv[1])
			}
			return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o755)
		},
		Condition: func(name string) (bool, error) {
			if name != "pair" {
				return false, fmt.Errorf("no condition is named %q", name)
			}
			return pairs(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cloud":      cloudCommand,
			"eventually": eventually,
			"capture":    capture,
			"copytree":   copyTree,
		},
	})
}

// toolsFolder is where the clients are. Without them the test is skipped, except on CI.
func toolsFolder(t *testing.T) string {
	tools := os.Getenv("LAMBENT_TOOLS")
	if tools == "" {
		tools = filepath.Join(root, ".tools")
	}
	tools, err := filepath.Abs(tools)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(tools, ".installed")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the clients are not installed: run conformance/tools/install.sh")
		}
		t.Skip("SKIPPED: the clients are not installed; run conformance/tools/install.sh")
	}
	return tools
}

// build makes the binary once for all scripts.
func build(t *testing.T) string {
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "lambent"), "./cmd/lambent")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// server is the cloud of one script: one process, or a pair.
type server struct {
	cmds []*exec.Cmd
	log  *os.File
	pair *pair // nil for one process
}

// signal sends a signal to each process.
func (s *server) signal(sig syscall.Signal) (err error) {
	for _, cmd := range s.cmds {
		err = errors.Join(err, cmd.Process.Signal(sig))
	}
	return err
}

// wait waits for the end of each process.
func (s *server) wait() (err error) {
	for _, cmd := range s.cmds {
		err = errors.Join(err, cmd.Wait())
	}
	return err
}

// servers are kept by script: the key is its $WORK, which stays when the script goes elsewhere with cd.
var servers = newRegistry()

// cloudCommand starts and ends the script's cloud, with its data in $LAMBENT_DATA:
//
//	cloud start [FLAG...]   and sets $ENDPOINT, $DOMAIN, $KEY, $SECRET
//	cloud stop              as Ctrl-C does
//	cloud kill              as a power cut does to the process: kill -9
//	cloud signal INT|TERM   and does not wait
//	[!] cloud ended         waits for its end, which must [not] be with exit code 0
func cloudCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || neg && args[0] != "ended" || args[0] == "signal" && len(args) != 2 {
		ts.Fatalf("usage: cloud start [FLAG...] | stop | kill | signal INT|TERM | ended")
	}
	switch args[0] {
	case "start":
		startCloud(ts, args[1:])
	case "stop":
		ts.Check(endCloud(ts, syscall.SIGINT))
	case "kill":
		ts.Check(endCloud(ts, syscall.SIGKILL))
	case "signal":
		signal, ok := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[1]]
		if !ok {
			ts.Fatalf("cloud: no such signal %q", args[1])
		}
		if s := servers.get(ts.Getenv("WORK")); s == nil {
			ts.Fatalf("no cloud runs")
		} else {
			ts.Check(s.signal(signal))
		}
	case "ended":
		err := endCloud(ts, 0)
		if neg == (err == nil) {
			ts.Fatalf("the cloud ended with %v", err)
		}
	default:
		ts.Fatalf("cloud: no such verb %q", args[0])
	}
}

func startCloud(ts *testscript.TestScript, flags []string) {
	if store, shared := sharedStore(ts); shared {
		startPair(ts, store, flags)
	} else {
		new(server).start(ts, ts.Getenv("LAMBENT_DATA"), flags)
	}
	var running struct{ Endpoint, Domain string }
	readJSON(ts, "server.json", &running)
	var key struct{ AccessKeyID, SecretAccessKey string }
	readJSON(ts, "root-key.json", &key)
	ts.Setenv("ENDPOINT", running.Endpoint)
	ts.Setenv("DOMAIN", running.Domain)
	ts.Setenv("KEY", key.AccessKeyID)
	ts.Setenv("SECRET", key.SecretAccessKey)
}

// start starts a process and waits until it serves.
func (s *server) start(ts *testscript.TestScript, data string, flags []string) {
	if s.log == nil {
		log, err := os.OpenFile(ts.MkAbs("cloud.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		ts.Check(err)
		s.log = log
	}
	path, err := exec.LookPath(strings.SplitN(ts.Getenv("PATH"), ":", 2)[0] + "/lambent")
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
	cmd.Env = append(os.Environ(), "LAMBENT_DATA="+data)
	cmd.Stderr = s.log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	if s.cmds = append(s.cmds, cmd); len(s.cmds) == 1 {
		servers.put(ts.Getenv("WORK"), s)
		ts.Defer(func() { _ = endCloud(ts, syscall.SIGKILL) })
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		text, _ := os.ReadFile(s.log.Name())
		ts.Fatalf("the cloud did not start: %v\n%s", err, text)
	}
	go io.Copy(io.Discard, out)
	ts.Logf("%s", line)
}

func readJSON(ts *testscript.TestScript, file string, v any) {
	readJSONFrom(ts, ts.Getenv("LAMBENT_DATA"), file, v)
}

func readJSONFrom(ts *testscript.TestScript, folder, file string, v any) {
	b, err := os.ReadFile(filepath.Join(folder, file))
	ts.Check(err)
	ts.Check(json.Unmarshal(b, v))
}

// endCloud sends the script's cloud, if one runs, a signal and waits for its end. Signal 0 is none.
func endCloud(ts *testscript.TestScript, signal syscall.Signal) error {
	s := servers.take(ts.Getenv("WORK"))
	if s == nil {
		return nil
	}
	defer s.log.Close()
	if s.pair != nil {
		defer s.pair.close()
	}
	if err := s.signal(signal); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.wait() }()
	select {
	case err := <-done:
		if signal == syscall.SIGKILL {
			return nil
		}
		return err
	case <-time.After(time.Minute):
		_ = s.signal(syscall.SIGKILL)
		return fmt.Errorf("the cloud did not end within a minute: %w", <-done)
	}
}

// eventually runs a command again and again until its output holds a text:
//
//	eventually SECONDS TEXT COMMAND [ARG...]
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: eventually SECONDS TEXT COMMAND [ARG...]")
	}
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		err := ts.Exec(args[2], args[3:]...)
		out := ts.ReadFile("stdout") + ts.ReadFile("stderr")
		if err == nil && strings.Contains(out, args[1]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %d seconds %q does not say %q; last: %v\n%s", seconds, strings.Join(args[2:], " "), args[1], err, out)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// capture puts the last command's standard output, or the one match of an expression's first group in its
// output, into a variable: capture NAME [EXPRESSION].
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: capture NAME [EXPRESSION]")
	}
	out := ts.ReadFile("stdout")
	if len(args) == 1 {
		ts.Setenv(args[0], strings.TrimSpace(out))
		return
	}
	m := mustCompile(ts, args[1]).FindStringSubmatch(out + ts.ReadFile("stderr"))
	if len(m) != 2 {
		ts.Fatalf("capture %s: %q has no match with one group in:\n%s", args[0], args[1], out)
	}
	ts.Setenv(args[0], m[1])
}

// copyTree copies a folder: copytree FROM TO.
func copyTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copytree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}
