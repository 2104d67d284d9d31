package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tools is where conformance/tools/failover.sh puts etcd and Patroni.
const tools = "../../.tools/failover"

// cluster is three PostgreSQL servers under Patroni, with one etcd that they agree by.
type cluster struct {
	t    *testing.T
	dir  string
	bin  string              // of PostgreSQL
	as   *syscall.Credential // who runs them; nil is the present user
	etcd *exec.Cmd
	url  string // of etcd
	node [3]node
}

// node is a machine, as it were: a Patroni and the PostgreSQL that it looks after.
type node struct {
	name      string
	port, api int
	patroni   *exec.Cmd
}

// start makes the cluster and waits until it has a leader and two standbys, one of them synchronous.
func start(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, bin: postgresBin(t), as: account(t)}
	for _, tool := range []string{"root/usr/bin/etcd", "python/bin/patroni"} {
		if _, err := os.Stat(filepath.Join(tools, tool)); err != nil {
			t.Skipf("SKIPPED: %v; conformance/tools/failover.sh installs it", err)
		}
	}
	var err error
	if c.dir, err = os.MkdirTemp("", "lambent-failover-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(c.dir); err != nil {
			t.Error(err)
		}
	})
	c.give(c.dir)
	c.startEtcd()
	for i := range c.node {
		c.node[i] = node{name: fmt.Sprint("n", i+1), port: freePort(t), api: freePort(t)}
	}
	for i := range c.node {
		c.configure(&c.node[i])
		c.launch(&c.node[i])
	}
	t.Cleanup(c.stop)
	c.settle(3 * time.Minute)
	return c
}

func postgresBin(t *testing.T) string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Skip("SKIPPED: PostgreSQL is not installed; on Debian: apt-get install postgresql")
	}
	sort.Strings(found)
	return found[len(found)-1]
}

// account is who PostgreSQL may run as: it refuses root.
func account(t *testing.T) *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// give makes a folder of the account's that it alone can enter.
func (c *cluster) give(dir string) {
	c.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	if c.as == nil {
		return
	}
	if err := os.Chown(dir, int(c.as.Uid), int(c.as.Gid)); err != nil {
		c.t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// command prepares a program that runs as the account, says what it has to say in a file, and ends with the test.
func (c *cluster) command(log, program string, args ...string) *exec.Cmd {
	c.t.Helper()
	f, err := os.OpenFile(filepath.Join(c.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { f.Close() })
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = f, f, c.dir
	cmd.Env = []string{"PATH=" + c.bin + ":/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + c.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func absolute(t *testing.T, path string) string {
	path, err := filepath.Abs(filepath.Join(tools, path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *cluster) startEtcd() {
	c.t.Helper()
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", freePort(c.t)), fmt.Sprintf("http://127.0.0.1:%d", freePort(c.t))
	c.url = client
	c.etcd = c.command("etcd.log", absolute(c.t, "root/usr/bin/etcd"), "--data-dir", filepath.Join(c.dir, "etcd"), "--name", "e",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "e="+peer)
	if err := c.etcd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = c.etcd.Process.Kill(); _ = c.etcd.Wait() })
}

// settings of Patroni. Writes wait for one standby, and stop when there is none: none that was acknowledged
// is lost with one machine. The lease of a leader that is gone ends after ttl, the least that Patroni takes.
const settings = `scope: lambent
name: %[1]s
restapi: {listen: '127.0.0.1:%[3]d', connect_address: '127.0.0.1:%[3]d'}
etcd3: {url: '%[4]s'}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    primary_start_timeout: 0
    synchronous_mode: true
    synchronous_mode_strict: true
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {max_connections: 120, max_pred_locks_per_transaction: 256, wal_log_hints: 'on', hot_standby: 'on'}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, data-checksums]
postgresql:
  listen: '127.0.0.1:%[2]d'
  connect_address: '127.0.0.1:%[2]d'
  bin_dir: %[5]s
  data_dir: %[6]s/data
  authentication:
    superuser: {username: postgres, password: postgres}
    replication: {username: replicator, password: replicator}
    rewind: {username: rewind, password: rewind}
  parameters: {unix_socket_directories: '%[6]s'}
  pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust']
`

func (c *cluster) configure(n *node) {
	c.t.Helper()
	dir := filepath.Join(c.dir, n.name)
	c.give(dir)
	text := fmt.Sprintf(settings, n.name, n.port, n.api, c.url, c.bin, dir)
	if err := os.WriteFile(filepath.Join(c.dir, n.name+".yml"), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) launch(n *node) {
	c.t.Helper()
	n.patroni = c.command(n.name+".log", absolute(c.t, "python/bin/python"), absolute(c.t, "python/bin/patroni"), filepath.Join(c.dir, n.name+".yml"))
	if err := n.patroni.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// member is what Patroni says of a node.
type member struct{ Name, Role, State string }

// members asks the nodes who is what, until one answers.
func (c *cluster) members() (all []member) {
	client := http.Client{Timeout: 2 * time.Second}
	for _, n := range c.node {
		resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/cluster", n.api))
		if err != nil {
			continue
		}
		var out struct{ Members []member }
		err = json.NewDecoder(resp.Body).Decode(&out)
		resp.Body.Close()
		if err == nil {
			return out.Members
		}
	}
	return nil
}

// settle waits until there is a leader, a synchronous standby and another.
func (c *cluster) settle(within time.Duration) {
	c.t.Helper()
	var all []member
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		all = c.members()
		count := map[string]int{}
		for _, m := range all {
			if m.State == "streaming" || m.State == "running" && m.Role == "leader" {
				count[m.Role]++
			}
		}
		if count["leader"] == 1 && count["sync_standby"] == 1 && count["replica"] == 1 {
			return
		}
	}
	c.t.Fatalf("the cluster did not settle within %v: %+v\n%s", within, all, c.lastWords())
}

// lastWords are the ends of the logs.
func (c *cluster) lastWords() string {
	var b strings.Builder
	for _, name := range []string{"etcd", "n1", "n2", "n3"} {
		text, _ := os.ReadFile(filepath.Join(c.dir, name+".log"))
		fmt.Fprintf(&b, "%s: %s\n", name, text[max(0, len(text)-1500):])
	}
	return b.String()
}

func (c *cluster) leader() *node {
	c.t.Helper()
	for _, m := range c.members() {
		for i := range c.node {
			if m.Role == "leader" && m.Name == c.node[i].name {
				return &c.node[i]
			}
		}
	}
	c.t.Fatalf("there is no leader: %+v", c.members())
	return nil
}

// killPostgres kills the server of a node as a failure of its own would, and leaves its Patroni.
func (c *cluster) killPostgres(n *node) { c.signalPostgres(n, syscall.SIGKILL) }

// signalPostgres sends a signal to all processes of a node's server.
func (c *cluster) signalPostgres(n *node, sig syscall.Signal) {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, n.name, "data", "postmaster.pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.SplitN(string(b), "\n", 2)[0])
	if err != nil {
		c.t.Fatal(err)
	}
	all := append(childrenOf(pid), pid)
	for _, p := range all {
		_ = syscall.Kill(p, sig) // one may have ended meanwhile
	}
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(b, []byte(") ")) // after the name, which may hold anything
		if f := strings.Fields(string(rest)); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			all = append(all, child)
		}
	}
	return all
}

// kill kills a node as the loss of its machine would.
func (c *cluster) kill(n *node) {
	c.t.Helper()
	if err := n.patroni.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	c.killPostgres(n)
	_ = n.patroni.Wait() // says that it was killed
}

// stop ends everything, gently first.
func (c *cluster) stop() {
	for i := range c.node {
		if p := c.node[i].patroni; p != nil && p.ProcessState == nil {
			_ = p.Process.Signal(syscall.SIGTERM)
		}
	}
	for i := range c.node {
		p := c.node[i].patroni
		if p == nil || p.ProcessState != nil {
			continue
		}
		ended := make(chan struct{})
		go func() { _ = p.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = p.Process.Kill()
			<-ended
			c.killPostgres(&c.node[i])
		}
	}
}

// standbys are the nodes that do not lead.
func (c *cluster) standbys() (all []*node) {
	leader := c.leader()
	for i := range c.node {
		if &c.node[i] != leader {
			all = append(all, &c.node[i])
		}
	}
	return all
}

// psql runs a statement in a database of a node as the superuser.
func (c *cluster) psql(n *node, database, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "psql"), "-h", "127.0.0.1", "-p", fmt.Sprint(n.port), "-U", "postgres", "-d", database, "-qtAc", statement)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// createDatabase makes the database of the store, and waits until every node has it: one that has not yet would refuse
// who asks it first.
func (c *cluster) createDatabase() {
	c.t.Helper()
	leader := c.leader()
	err := errors.Join(c.psql(leader, "postgres", "CREATE ROLE lambent LOGIN PASSWORD 'lambent'"), c.psql(leader, "postgres", "CREATE DATABASE lambent OWNER lambent"))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range c.node {
		for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			err := c.psql(&c.node[i], "lambent", "SELECT 1")
			if err == nil {
				break
			}
			if time.Now().After(end) {
				c.t.Fatal(err)
			}
		}
	}
}

// database returns the URL by which servers find the leader, whoever it is.
func (c *cluster) database() string {
	var hosts []string
	for _, n := range c.node {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	return "postgres://lambent:lambent@" + strings.Join(hosts, ",") + "/lambent?sslmode=disable"
}
