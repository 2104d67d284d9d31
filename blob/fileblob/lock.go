package fileblob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// locker is a lock that all processes with the same folder see.
type locker struct {
	path string

	mu   sync.Mutex // held while locked; guards file
	file *os.File   // opened when it is first locked, and kept
}

func (l *locker) lock() error {
	l.mu.Lock()
	if l.file == nil {
		f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			l.mu.Unlock()
			return err
		}
		l.file = f
	}
	if err := flock(l.file, syscall.LOCK_EX); err != nil {
		l.mu.Unlock()
		return err
	}
	return nil
}

func (l *locker) unlock() {
	_ = flock(l.file, syscall.LOCK_UN) // of a lock that is held
	l.mu.Unlock()
}

func (l *locker) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}

// flock locks or unlocks an open file. A signal may interrupt the wait.
func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// alive ends the name of the locked file of a folder below tmp/.
const alive = ".alive"

// live makes the folder in which this process writes. The locked file comes first, so that nobody takes the
// folder for a dead one's.
func (b *Bucket) live() error {
	for {
		f, err := os.CreateTemp(b.tmp(), "*"+alive)
		if err != nil {
			return err
		}
		if err := flock(f, syscall.LOCK_EX); err != nil {
			return errors.Join(err, f.Close())
		}
		if !isAt(f, f.Name()) { // another took it for a dead one's before it was locked
			if err := f.Close(); err != nil {
				return err
			}
			continue
		}
		b.alive, b.mine = f, strings.TrimSuffix(f.Name(), alive)
		return os.Mkdir(b.mine, 0o700)
	}
}

// Close removes the folder in which this process writes and gives the locks back. No upload may be under way.
func (b *Bucket) Close() error {
	if b.alive == nil {
		return nil // a Reader
	}
	err := errors.Join(os.RemoveAll(b.mine), os.Remove(b.alive.Name()), b.alive.Close())
	for i := range b.locks {
		err = errors.Join(err, b.locks[i].close())
	}
	return err
}

// isAt says whether the open file is the one of that path.
func isAt(f *os.File, path string) bool {
	open, err1 := f.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(open, there)
}

// removeDead removes the folders below tmp/ of processes that have ended, and what else is there.
func (b *Bucket) removeDead() error {
	entries, err := os.ReadDir(b.tmp())
	if err != nil {
		return err
	}
	living := map[string]bool{}
	for _, e := range entries {
		name, isLock := strings.CutSuffix(e.Name(), alive)
		if !isLock {
			continue
		}
		dead, err := b.bury(name)
		if err != nil {
			return err
		}
		living[name] = !dead
	}
	for _, e := range entries {
		// A folder whose lock came after the list was read is not in it either.
		name, isLock := strings.CutSuffix(e.Name(), alive)
		if isLock || living[name] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(b.tmp(), name)); err != nil {
			return err
		}
	}
	return nil
}

// bury removes the folder and the locked file of a process that has ended, and says whether it has.
func (b *Bucket) bury(name string) (dead bool, err error) {
	path := filepath.Join(b.tmp(), name+alive)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, f.Close()
	}
	if err == nil {
		err = errors.Join(os.RemoveAll(filepath.Join(b.tmp(), name)), os.Remove(path))
	}
	return true, errors.Join(err, f.Close())
}
