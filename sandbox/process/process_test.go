package process_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lambent/sandbox/driver"
	"lambent/sandbox/process"
	"lambent/sandbox/sandboxtest"
)

// Names under which this binary is another program.
const (
	crashingServer = "crashing-server"
	plainUser      = "plain-user"
)

func TestMain(m *testing.M) {
	switch os.Args[0] {
	case crashingServer:
		serveUntilKilled(os.Args[1])
	case plainUser:
		serveAsUser(os.Args[1])
	}
	sandboxtest.Main(m)
}

func open(t testing.TB) *process.Driver {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: TestWithoutRoot is for the others")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		for _, dir := range d.Cgroups() {
			if _, err := os.Stat(dir); err == nil {
				left, _ := filepath.Glob(dir + "/s*")
				t.Errorf("%s is left, with %q", dir, left)
			}
		}
	})
	return d
}

func TestDriver(t *testing.T) {
	sandboxtest.Run(t, func(t testing.TB) driver.Driver { return open(t) })
}

// self runs this binary as one of the programs above.
func self(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = name
	cmd.Stderr = os.Stderr
	return cmd
}

func fatal(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// serveUntilKilled is a server that is killed in the middle of its work.
func serveUntilKilled(dir string) {
	d, err := process.Open(process.Config{Dir: dir})
	fatal(err)
	for range 3 {
		s, err := d.Start(context.Background(), sleeper())
		fatal(err)
		fmt.Println("process", s.(*process.Sandbox).PID())
	}
	for _, c := range d.Cgroups() {
		fmt.Println("cgroup", c)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

func TestServerKilled(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	cmd := self(crashingServer, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids, cgroups []string
	for s := bufio.NewScanner(out); s.Scan() && s.Text() != "ready"; {
		what, value, _ := strings.Cut(s.Text(), " ")
		switch what {
		case "process":
			pids = append(pids, value)
		case "cgroup":
			cgroups = append(cgroups, value)
		default:
			t.Fatal(s.Text())
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if len(pids) != 3 || len(cgroups) == 0 {
		t.Fatalf("processes %q, cgroups %q", pids, cgroups)
	}
	for _, pid := range pids {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if b, err := os.ReadFile("/proc/" + pid + "/stat"); err != nil || strings.Contains(string(b), ") Z ") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("process %s outlives its server", pid)
			}
		}
	}
	before := 0
	for _, c := range cgroups {
		left, _ := filepath.Glob(c + "/s*")
		before += len(left)
	}
	d, err := process.Open(process.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cgroups {
		if left, _ := filepath.Glob(c + "/s*"); len(left) > 0 {
			t.Errorf("Open left %q", left)
		}
	}
	if before == 0 {
		t.Error("the killed server left no control groups: this test shows nothing")
	}
	d.Close()
}

// serveAsUser is a server without root.
func serveAsUser(dir string) {
	d, err := process.Open(process.Config{Dir: dir})
	fatal(err)
	for _, w := range d.Report().Walls {
		fmt.Printf("%v %s: %s; %s\n", w.OK, w.Name, w.Detail, w.Remedy)
	}
	var out bytes.Buffer
	spec := sleeper()
	spec.Argv = []string{"/bin/sh", "-c", "id -u; echo $$; ls /; ls /proc | grep -c '^[0-9]'; cat /proc/self/status | grep -E 'CapEff|Seccomp:|NoNewPrivs'; echo x > /tmp/x && cat /tmp/x; ulimit -n"}
	spec.Stdout, spec.Stderr = &out, &out
	s, err := d.Start(context.Background(), spec)
	fatal(err)
	<-s.Done()
	fmt.Printf("%s%+v\n", out.String(), s.Exit())
	fmt.Println("mount:", s.Mount("/usr", "/var/task"))
	s.Kill()
	fatal(d.Close())
	os.Exit(0)
}

func TestWithoutRoot(t *testing.T) {
	dir, err := os.MkdirTemp("", "user")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o777)
	cmd := self(plainUser, filepath.Join(dir, "run"))
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	}
	b, err := cmd.Output()
	out := string(b)
	if strings.Contains(out, "cannot run one") {
		t.Skipf("this host gives ordinary users no namespaces:\n%s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"\n993\n2\nbin\ndev\netc\nlib\nlib64\nproc\ntmp\nusr\nvar\n", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "\nx\n1024\n",
		"{Code:0 Signal:0 OOM:false Killed:false}", "mount: sandbox: not supported on this host", "false memory limit:", "true process limit: RLIMIT_NPROC", "false stem cells:"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
