package process

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// play runs a tape as an ordinary child and returns its exit status, output and control report.
func play(t *testing.T, tp *tape) (status int, out, report string) {
	t.Helper()
	image, err := tp.image()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(image)
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctlR, ctlW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := os.StartProcess(fmt.Sprintf("/proc/self/fd/%d", image), []string{"init"}, &os.ProcAttr{
		Files: []*os.File{null, outW, null, null, ctlW},
	})
	if err != nil {
		t.Fatal(err)
	}
	outW.Close()
	ctlW.Close()
	o, _ := io.ReadAll(outR)
	c, _ := io.ReadAll(ctlR)
	st, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return st.ExitCode(), string(o), string(c)
}

func code(t *testing.T) []byte {
	t.Helper()
	c, err := playerCode()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTapeForksWaitsAndReports(t *testing.T) {
	tp := newTape(code(t))
	zero, status, pid := tp.slot(), tp.slot(), tp.slot()
	child := tp.keep("fork", unix.SYS_CLONE, int(syscall.SIGCHLD), 0, 0, 0, 0)
	toParent := tp.branch(child, zero, false, 0)
	tp.call("write", unix.SYS_WRITE, 1, "child\n", 6)
	tp.call("exit", unix.SYS_EXIT_GROUP, 7)
	tp.aim(toParent, tp.here())
	loop := tp.here()
	tp.store(pid, "wait", unix.SYS_WAIT4, -1, uint64(status), 0, 0)
	tp.branch(pid, child, false, loop)
	tp.call("write status", unix.SYS_WRITE, 1, uint64(status), 4)
	tp.call("exit", unix.SYS_EXIT_GROUP, 3)

	got, out, report := play(t, tp)
	if got != 3 || out != "child\n\x00\x07\x00\x00" || report != "" {
		t.Errorf("status %d, output %q, report %q; want 3, child and its status, no report", got, out, report)
	}
}

func TestTapeNamesTheStepThatFailed(t *testing.T) {
	tp := newTape(code(t))
	tp.try("may fail", unix.SYS_CLOSE, 99)
	tp.call("enter /nowhere", unix.SYS_CHDIR, "/nowhere")
	tp.call("exit", unix.SYS_EXIT_GROUP, 0)
	got, _, report := play(t, tp)
	err := tp.failure([]byte(report))
	if got != 111 || err == nil || err.Error() != "enter /nowhere: no such file or directory" {
		t.Errorf("status %d, error %v", got, err)
	}
}
