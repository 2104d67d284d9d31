package process

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// controllers are what a sandbox is limited by.
var controllers = []string{"memory", "cpu", "pids"}

// A cgroupTree is where this driver makes its control groups: one folder in each hierarchy that it needs.
//
// Version 2 is the common case: one folder with all controllers and the freezer. On version 1 each controller has a
// hierarchy of its own. Hybrid hosts have both: controllers on version 1, and a version 2 without any, which can
// freeze all the same.
type cgroupTree struct {
	unified string            // folder in the version 2 hierarchy, "" without
	in2     map[string]bool   // controllers that unified really has
	v1      map[string]string // controller or "freezer" → folder in its version 1 hierarchy
	missing map[string]error  // why a controller, or "freezer", is not to be had
}

// cgroupMount is one mounted hierarchy and this process's own place in it.
type cgroupMount struct {
	version     int
	controllers []string // version 1
	dir         string   // mount point joined with our own path
	top         string   // mount point
}

// cgroupMounts reads /proc/self/mountinfo and /proc/self/cgroup.
func cgroupMounts(mountinfo, own string) []cgroupMount {
	paths := make(map[string]string) // controller list, "" for version 2 → path
	for line := range strings.Lines(own) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			paths[f[1]] = f[2]
		}
	}
	var mounts []cgroupMount
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		root, point := left[3], left[4]
		var m cgroupMount
		var path string
		switch right[0] {
		case "cgroup2":
			m.version, path = 2, paths[""]
		case "cgroup":
			m.version = 1
			m.controllers = strings.Split(right[2], ",")
			for list, p := range paths {
				if list != "" && sharesController(list, m.controllers) {
					path = p
				}
			}
		default:
			continue
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || strings.HasPrefix(rel, "..") {
			rel = "." // our place lies outside of what is mounted: take its top
		}
		m.top, m.dir = point, filepath.Join(point, rel)
		mounts = append(mounts, m)
	}
	return mounts
}

func sharesController(list string, with []string) bool {
	for c := range strings.SplitSeq(list, ",") {
		if slices.Contains(with, c) {
			return true
		}
	}
	return false
}

// openCgroups makes the driver's folders, named name, and finds out what can be limited there.
func openCgroups(name string) (*cgroupTree, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	t := &cgroupTree{in2: make(map[string]bool), v1: make(map[string]string), missing: make(map[string]error)}
	mounts := cgroupMounts(string(mountinfo), string(own))
	for _, m := range mounts {
		if m.version == 2 && t.unified == "" {
			if err := t.openUnified(m, name); err != nil {
				t.missing["unified"] = err
			}
		}
	}
	for _, m := range mounts {
		if m.version == 1 {
			t.openV1(m, name)
		}
	}
	for _, c := range controllers {
		if !t.in2[c] && t.v1[c] == "" && t.missing[c] == nil {
			t.missing[c] = errors.New("no hierarchy has this controller")
		}
	}
	return t, nil
}

// openUnified makes our folder below our own cgroup, or at the top when that is not possible.
func (t *cgroupTree) openUnified(m cgroupMount, name string) error {
	var errs []error
	for _, parent := range slices.Compact([]string{m.dir, m.top}) {
		offered := words(filepath.Join(parent, "cgroup.controllers"))
		err := enableControllers(parent, offered)
		if errors.Is(err, unix.EBUSY) && parent != m.top {
			// A cgroup with processes in it hands no controllers down: step down into a leaf of our own first.
			if err = leaveFor(parent, name+"-server"); err == nil {
				err = enableControllers(parent, offered)
			}
		}
		dir := filepath.Join(parent, name)
		if err == nil {
			err = mkdir(dir)
		}
		if err == nil {
			err = enableControllers(dir, offered)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.unified = dir
		for _, c := range words(filepath.Join(dir, "cgroup.subtree_control")) {
			t.in2[c] = true
		}
		return nil
	}
	return errors.Join(errs...)
}

// enableControllers hands those of our controllers that are offered down to the children of dir.
func enableControllers(dir string, offered []string) error {
	for _, c := range controllers {
		if !slices.Contains(offered, c) {
			continue
		}
		if err := write(filepath.Join(dir, "cgroup.subtree_control"), "+"+c); err != nil {
			return err
		}
	}
	return nil
}

// leaveFor moves the processes of a cgroup into a leaf below it.
func leaveFor(dir, leaf string) error {
	to := filepath.Join(dir, leaf)
	if err := mkdir(to); err != nil {
		return err
	}
	for _, pid := range words(filepath.Join(dir, "cgroup.procs")) {
		if err := write(filepath.Join(to, "cgroup.procs"), pid); err != nil {
			return err
		}
	}
	return nil
}

func (t *cgroupTree) openV1(m cgroupMount, name string) {
	for _, c := range m.controllers {
		wanted := slices.Contains(controllers, c) || c == "freezer"
		if !wanted || t.in2[c] || t.v1[c] != "" || (c == "freezer" && t.unified != "") {
			continue
		}
		var err error
		for _, parent := range slices.Compact([]string{m.dir, m.top}) {
			dir := filepath.Join(parent, name)
			if err = mkdir(dir); err == nil {
				t.v1[c] = dir
				delete(t.missing, c)
				break
			}
		}
		if err != nil {
			t.missing[c] = err
		}
	}
}

// has reports whether a controller can be used.
func (t *cgroupTree) has(controller string) bool { return t.in2[controller] || t.v1[controller] != "" }

// how says where a controller comes from, for the report.
func (t *cgroupTree) how(controller string) string {
	switch {
	case t.in2[controller]:
		return "cgroup v2, " + t.unified
	case t.v1[controller] != "":
		return "cgroup v1, " + t.v1[controller]
	}
	return fmt.Sprint(t.missing[controller])
}

// bases are the driver's folders.
func (t *cgroupTree) bases() []string {
	var dirs []string
	if t.unified != "" {
		dirs = append(dirs, t.unified)
	}
	for _, d := range t.v1 {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// close removes the driver's folders.
func (t *cgroupTree) close() {
	for _, d := range t.bases() {
		os.Remove(d) // fails while a sandbox is left, and is then found by the next start's sweep
	}
}

// A cgroup is one sandbox's folder in each hierarchy.
type cgroup struct {
	tree *cgroupTree
	dirs map[string]string // "unified", controller or "freezer" → folder
	all  []string
}

// make makes the folders of a sandbox.
func (t *cgroupTree) make(id string) (*cgroup, error) {
	g := &cgroup{tree: t, dirs: make(map[string]string)}
	add := func(base string) (string, error) {
		dir := filepath.Join(base, id)
		if slices.Contains(g.all, dir) {
			return dir, nil
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", err
		}
		g.all = append(g.all, dir)
		return dir, nil
	}
	var err error
	if t.unified != "" {
		if g.dirs["unified"], err = add(t.unified); err != nil {
			return nil, err
		}
	}
	for c, base := range t.v1 {
		if g.dirs[c], err = add(base); err != nil {
			g.remove()
			return nil, err
		}
	}
	for c := range t.in2 {
		g.dirs[c] = g.dirs["unified"]
	}
	return g, nil
}

// v1Dirs are the folders a process must write itself into; the version 2 one is entered by clone3.
func (g *cgroup) v1Dirs() []string {
	var dirs []string
	for _, d := range g.all {
		if d != g.dirs["unified"] {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// set writes a limit; it does nothing when the controller is not to be had.
func (g *cgroup) set(controller, file2, value2, file1, value1 string) error {
	dir := g.dirs[controller]
	switch {
	case dir == "":
		return nil
	case g.tree.in2[controller]:
		return write(filepath.Join(dir, file2), value2)
	}
	return write(filepath.Join(dir, file1), value1)
}

func (g *cgroup) setPIDs(n int64) error {
	v := "max"
	if n > 0 {
		v = strconv.FormatInt(n, 10)
	}
	return g.set("pids", "pids.max", v, "pids.max", v)
}

// cpuPeriod is the period of a CPU quota in microseconds.
const cpuPeriod = 100_000

func (g *cgroup) setCPU(cpus float64) error {
	if cpus <= 0 {
		return g.set("cpu", "cpu.max", "max", "cpu.cfs_quota_us", "-1")
	}
	quota := strconv.FormatInt(max(1000, int64(cpus*cpuPeriod)), 10)
	return g.set("cpu", "cpu.max", quota+" "+strconv.Itoa(cpuPeriod), "cpu.cfs_quota_us", quota)
}

// freeze stops or thaws every process, and waits until it is so.
func (g *cgroup) freeze(frozen bool) error {
	file, value, events, want := "cgroup.freeze", "0", "cgroup.events", "frozen 0"
	dir := g.dirs["unified"]
	if dir == "" {
		dir, file, value, events, want = g.dirs["freezer"], "freezer.state", "THAWED", "freezer.state", "THAWED"
	}
	if dir == "" {
		return errors.ErrUnsupported
	}
	if frozen && file == "freezer.state" {
		value, want = "FROZEN", "FROZEN"
	} else if frozen {
		value, want = "1", "frozen 1"
	}
	if err := write(filepath.Join(dir, file), value); err != nil {
		return err
	}
	for start := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		b, err := os.ReadFile(filepath.Join(dir, events))
		if err != nil {
			return err
		}
		if strings.Contains(string(b), want) {
			return nil
		}
		if time.Since(start) > 2*time.Second {
			return fmt.Errorf("%s: not %q after 2 s", dir, want)
		}
	}
}

// pids lists the processes of the sandbox as the host numbers them.
func (g *cgroup) pids() []int {
	if len(g.all) == 0 {
		return nil
	}
	var pids []int
	for _, w := range words(filepath.Join(g.all[0], "cgroup.procs")) { // the same in all of them
		if n, err := strconv.Atoi(w); err == nil && n > 0 {
			pids = append(pids, n)
		}
	}
	return pids
}

// kill ends every process in the cgroup. It is for what a crashed server left; a living sandbox ends with its process 1.
func (g *cgroup) kill() {
	g.freeze(false)
	for range 100 {
		pids := g.pids()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// remove removes the folders. The kernel may need a moment after the last process has ended.
func (g *cgroup) remove() error {
	var errs []error
	for _, d := range g.all {
		errs = append(errs, removeCgroup(d))
	}
	return errors.Join(errs...)
}

func removeCgroup(dir string) error {
	for wait := 100 * time.Microsecond; ; wait *= 2 {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if wait > 500*time.Millisecond {
			return err
		}
		time.Sleep(wait)
	}
}

func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// write writes to an existing control file in one call.
func write(file, value string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("write %q to %s: %w", value, file, err)
	}
	return nil
}

// words reads a control file's words; none when it cannot be read.
func words(file string) []string {
	b, _ := os.ReadFile(file)
	return strings.Fields(string(b))
}

// number reads a control file that holds one number, or the value of key in a file of "key number" lines.
func number(file, key string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if key == "" {
		return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	}
	for s := bufio.NewScanner(strings.NewReader(string(b))); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), " "); ok && k == key {
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: no %q", file, key)
}
