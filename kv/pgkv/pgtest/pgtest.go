// Package pgtest runs a real PostgreSQL server for a test: in a folder of its own, on a free port of
// loopback, with a user and a database named lambent. As root it runs as the user postgres, since the server
// refuses root.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options are the settings of a server.
type Options struct {
	// Durable makes the server sync its log, as a real one does. Without it tests run faster, and a power
	// cut would lose them.
	Durable bool
	// Settings are further lines of postgresql.conf.
	Settings []string
	// TLS makes the server speak TLS with a certificate for localhost, server.crt in its data folder.
	TLS bool
}

// Server is a PostgreSQL server. Its methods are for one goroutine.
type Server struct {
	bin, dir string
	port     int
	as       *syscall.Credential // nil for the present user
	cmd      *exec.Cmd
	ended    chan error // of cmd
}

// ErrNotInstalled says that the machine has no PostgreSQL of version 15 or later.
var ErrNotInstalled = errors.New("PostgreSQL 15 or later is not installed; on Debian: apt-get install postgresql")

// Start makes and starts a server. The caller calls Close.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.as, err = account(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "lambent-postgres-"); err != nil {
		return nil, err
	}
	if err := s.make(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("PostgreSQL for tests: %w", err), s.Close())
	}
	return s, nil
}

// find returns the folder of the newest server's programs, where Debian or the PATH has them.
func find() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.Sort(dirs)
	slices.Reverse(dirs)
	if p, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(p))
	}
	for _, dir := range dirs {
		if complete(dir) && version(dir) >= 15 {
			return dir, nil
		}
	}
	return "", ErrNotInstalled
}

// complete says whether dir has the programs that are run here.
func complete(dir string) bool {
	for _, name := range []string{"postgres", "initdb", "psql", "pg_isready"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// version returns the first number of the server's version in dir, 0 when it cannot be had.
func version(dir string) int {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	fields := strings.FieldsFunc(string(out), func(r rune) bool { return r < '0' || r > '9' })
	if err != nil || len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0]) // digits; one too large is no version
	return n
}

// account returns the user that the server runs as.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	uid, errU := strconv.ParseUint(u.Uid, 10, 32)
	gid, errG := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(errU, errG)
}

func (s *Server) make(ctx context.Context, o Options) error {
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
	}
	if err := s.do(ctx, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	s.port = port
	if err := s.configure(o); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	return s.psql(ctx, "postgres", "CREATE ROLE lambent LOGIN PASSWORD 'secret'", "CREATE DATABASE lambent OWNER lambent")
}

// SQL runs a statement as superuser in the database lambent.
func (s *Server) SQL(ctx context.Context, statement string) error {
	return s.psql(ctx, "lambent", statement)
}

func (s *Server) psql(ctx context.Context, database string, statements ...string) error {
	args := []string{"-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "postgres", "-d", database}
	for _, sql := range statements {
		args = append(args, "-c", sql)
	}
	return s.do(ctx, "psql", args...)
}

func (s *Server) configure(o Options) error {
	lines := []string{
		fmt.Sprintf("port = %d", s.port),
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = ''",
		"max_connections = 400",
		"max_pred_locks_per_transaction = 1024",
		"shared_buffers = 128MB",
		"max_wal_size = 1GB",
		"log_min_messages = fatal",
	}
	if !o.Durable {
		lines = append(lines, "fsync = off", "full_page_writes = off", "synchronous_commit = off")
	}
	if o.TLS {
		lines = append(lines, "ssl = on")
		if err := s.writeCertificate(); err != nil {
			return err
		}
	}
	lines = append(lines, o.Settings...)
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// freePort returns a port that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Dir is the server's data folder.
func (s *Server) Dir() string { return s.data() }

// URL is where the store goes: the database lambent, as the user lambent.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://lambent:secret@127.0.0.1:%d/lambent?sslmode=disable", s.port)
}

// Port is the server's port.
func (s *Server) Port() int { return s.port }

// Bin is the folder of the server's programs.
func (s *Server) Bin() string { return s.bin }

// do runs one of the server's programs to its end.
func (s *Server) do(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// startFor is how long a start may take. After a kill the old server's children have to end first.
const startFor = 60 * time.Second

// Start starts a server that was stopped or killed, and returns when it answers.
func (s *Server) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startFor)
	defer cancel()
	for {
		err := s.launch(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// launch starts the server's process and waits until it answers or ends.
func (s *Server) launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data())
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	// A test that is killed takes its server along. SIGQUIT is PostgreSQL's immediate shutdown.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() { // ends with the process, for which Stop and Kill wait
		// Linux sends the signal when the thread that made the process ends, so it must not end before.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.cmd, s.ended = cmd, ended
	for {
		if s.do(ctx, "pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-U", "postgres", "-d", "postgres") == nil {
			return nil
		}
		select {
		case err := <-ended:
			s.cmd = nil
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("server ended: %w: %s", err, text[max(0, len(text)-2000):])
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop shuts the server down: it ends its sessions and closes its files in good order.
func (s *Server) Stop() error { return s.signal(syscall.SIGINT) }

// Kill kills the server's first process with SIGKILL. Its sessions notice and end at once.
func (s *Server) Kill() error { return s.signal(syscall.SIGKILL) }

func (s *Server) signal(sig os.Signal) error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended: // how a signalled process ends is known
		return nil
	case <-time.After(startFor):
		return errors.Join(errors.New("the server does not end"), cmd.Process.Kill())
	}
}

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	return errors.Join(s.signal(syscall.SIGQUIT), removeAll(s.dir))
}

// removeAll removes a folder in which a killed server's children may still be writing.
func removeAll(dir string) (err error) {
	for range 50 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}
