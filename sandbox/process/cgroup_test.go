package process

import (
	"fmt"
	"os/exec"
	"testing"
)

func TestCgroupMounts(t *testing.T) {
	tests := []struct{ name, mountinfo, own, want string }{
		{"version 2", "31 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", "0::/system.slice/lambent.service\n",
			"[{2 [] /sys/fs/cgroup/system.slice/lambent.service /sys/fs/cgroup}]"},
		{"version 2 in a container", "31 23 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/docker/abc\n", "[{2 [] /sys/fs/cgroup /sys/fs/cgroup}]"},
		{"our place is outside of the mount", "31 23 0:27 /other /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/mine\n", "[{2 [] /sys/fs/cgroup /sys/fs/cgroup}]"},
		{"hybrid", `40 30 0:30 / /sys/fs/cgroup/memory rw shared:1 - cgroup cgroup rw,memory
41 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
42 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
43 30 0:33 / / rw - ext4 /dev/vda rw
`, "4:memory:/jobs/1\n3:cpuacct,cpu:/\n0::/\n",
			"[{1 [rw memory] /sys/fs/cgroup/memory/jobs/1 /sys/fs/cgroup/memory} {1 [rw cpu cpuacct] /sys/fs/cgroup/cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct} {2 [] /sys/fs/cgroup/unified /sys/fs/cgroup/unified}]"},
		{"nothing", "damaged\n - \n1 2 3 4 5 - cgroup\n", "x\n", "[]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(cgroupMounts(tt.mountinfo, tt.own)); got != tt.want {
			t.Errorf("%s: got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestParseMaps(t *testing.T) {
	const maps = `55d0c0a00000-55d0c0a01000 r-xp 00000000 fe:00 123 /usr/bin/x
55d0c0b00000-55d0c0b02000 rw-p 00000000 fe:00 123 /usr/bin/x
7f0000000000-7f0000100000 rw-p 00000000 00:00 0
7f1000000000-7f1000001000 rw-s 00000000 00:01 5 /dev/shm/x
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
damaged
2-1 rw-p 0 0 0
`
	got := parseMaps(maps)
	if len(got) != 3 || got[0].Base != 0x55d0c0b00000 || got[0].Len != 0x2000 || got[1].Len != 0x100000 || got[2].Base != 0x7ffc00000000 {
		t.Errorf("got %+v", got)
	}
}

// TestPageOut asks for it; without swap the kernel says yes and does nothing.
func TestPageOut(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := pageOut(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
}
