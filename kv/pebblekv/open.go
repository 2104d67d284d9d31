package pebblekv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"lambent/kv/driver"
)

// Options are the settings of a store. The zero value is right for a server.
type Options struct {
	// FS holds the files; nil is the machine's own file system.
	FS vfs.FS
	// Fatal is called once when a write or sync of the log has failed, with the reason. It should not
	// return. Nil writes the reason to standard error and exits with status 1.
	Fatal func(error)
	// CacheBytes bounds the block cache. 0 is 8 MiB.
	CacheBytes int64
	// MemTableBytes bounds one table of recent writes in memory; it starts small and grows. 0 is 8 MiB.
	MemTableBytes uint64
	// MinFreeBytes is the free space on disk below which writes are refused with driver.ErrFull.
	// 0 is 64 MiB; a negative number turns the check off.
	MinFreeBytes int64
	// ReadOnly opens a store that is there and changes nothing of it. Commits fail with ErrReadOnly.
	ReadOnly bool
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Fatal == nil {
		o.Fatal = exit
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 8 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 8 << 20
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = 64 << 20
	}
	return o
}

func exit(err error) {
	fmt.Fprintln(os.Stderr, "lambent:", err)
	os.Exit(1)
}

// Records of the engine itself.
var (
	formatKey   = []byte("\x00format")   // 8 bytes: version of the layout of this store
	reservedKey = []byte("\x00reserved") // 8 bytes: no commit has a version above this
)

// format is the version of the layout that this package writes.
const format = 1

// ErrInUse says that another process has the store open.
var ErrInUse = errors.New("kv: the data folder is in use by another process")

// ErrReadOnly says that the store was opened to be read only.
var ErrReadOnly = errors.New("kv: the store is open for reading only")

// ErrNewerFormat says that the store was written by a newer version of the program.
var ErrNewerFormat = errors.New("kv: the store was written by a newer version")

// OpenMem opens an empty store that lives in memory and ends with the process.
func OpenMem() (*Engine, error) {
	return Open("", Options{FS: vfs.NewMem()})
}

// Open opens the store in the folder dir, and makes it if there is none. One process at a time can have it open.
func Open(dir string, o Options) (*Engine, error) {
	o = o.withDefaults()
	if !o.ReadOnly {
		if err := o.FS.MkdirAll(dir, 0o700); err != nil {
			return nil, openError(dir, err)
		}
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, lockError(dir, err)
	}
	e := &Engine{lock: lock, readOnly: o.ReadOnly, told: make(chan struct{}), fatal: o.Fatal, space: newSpace(o, dir)}
	if !o.ReadOnly {
		err = e.space.checkOpen()
	}
	if err == nil {
		err = e.open(dir, o)
	}
	if err != nil {
		_ = lock.Close() // says nothing that err does not
		return nil, openError(dir, err)
	}
	return e, nil
}

func (e *Engine) open(dir string, o Options) (err error) {
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	po := &pebble.Options{
		FS:                          orderedFS{o.FS, e.diskBroken},
		Lock:                        e.lock,
		Cache:                       cache,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      logger{e},
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
	}
	po.EventListener = &pebble.EventListener{
		BackgroundError: func(error) {}, // Pebble tries again
		// Who reads the damaged part is told so. Unless this is said, Pebble ends the process, and again after
		// each start, though the rest is whole.
		DataCorruption: func(pebble.DataCorruptionInfo) {},
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	_, err = survive(func() error {
		e.db, err = pebble.Open(dir, po)
		return err
	})
	if err != nil {
		return err
	}
	died, err := survive(e.load) // the first start writes
	if err != nil && !died {
		_ = e.db.Close()
	}
	if err != nil {
		return err
	}
	e.opened.Store(true)
	return nil
}

// load checks the store's format and continues its versions.
func (e *Engine) load() error {
	version, err := e.number(formatKey)
	if err != nil {
		return err
	}
	switch {
	case version > format:
		return fmt.Errorf("%w: its format is %d, this version knows %d; use the newer version", ErrNewerFormat, version, format)
	case version == 0 && e.readOnly:
		return errors.New("the store has no format")
	case version == 0:
		if err := e.db.Set(formatKey, binary.BigEndian.AppendUint64(nil, format), pebble.Sync); err != nil {
			return err
		}
	}
	last, err := e.number(reservedKey)
	if err != nil {
		return err
	}
	e.reserved = last
	e.assigned.Store(last)
	e.applied.Store(last)
	e.durable.version.Store(last)
	e.recent.init(last)
	e.rows.init(rowBytes)
	return nil
}

// number reads a record of the engine, 0 when it is absent.
func (e *Engine) number(key []byte) (uint64, error) {
	v, closer, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("record %q has %d bytes", key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// lockError tells a folder in use from one that cannot be written.
func lockError(dir string, err error) error {
	if canWrite(dir) {
		return fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	return openError(dir, err)
}

// openError says in one line what is wrong with the folder.
func openError(dir string, err error) error {
	switch {
	case errors.Is(err, driver.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("open store %s: the disk is full: %w", dir, driver.ErrFull)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open store %s: the folder cannot be written: %w", dir, err)
	}
	return fmt.Errorf("open store %s: %w", dir, err)
}

// canWrite says whether this process may make files in dir.
func canWrite(dir string) bool {
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return false
	}
	f.Close()
	os.Remove(f.Name())
	return true
}

// logger receives what Pebble has to say: only its last words matter.
type logger struct{ e *Engine }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}

// Fatalf stops the store, or its opening. Pebble counts on it not to return. While the process ends for another
// failure, it waits for that: a panic would say less, and at length.
func (l logger) Fatalf(format string, args ...any) {
	err := lastWords(format, args)
	if l.e.opened.Load() {
		err = l.e.fail(err)
		<-l.e.told
	}
	panic(fatal{err})
}

// fatal is what a panic out of Pebble carries after Fatalf.
type fatal struct{ error }

// lastWords is the message as an error that wraps the one among the arguments.
func lastWords(format string, args []any) error {
	msg := fmt.Sprintf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			return &words{msg, cause}
		}
	}
	return errors.New(msg)
}

type words struct {
	msg   string
	cause error
}

func (w *words) Error() string { return w.msg }
func (w *words) Unwrap() error { return w.cause }

// diskBroken stops a running store whose log could not be written, or whose folder could not be synced.
func (e *Engine) diskBroken(err error) {
	if e.opened.Load() {
		_ = e.fail(fmt.Errorf("write of the log: %w", err)) // callers get it from Pebble
	}
}

// survive runs a step of the opening and returns what Pebble dies of in it as an error. Pebble holds locks then, so
// that the DB cannot be closed any more.
func survive(step func() error) (died bool, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fatal:
			died, err = true, p.error
		case runtime.Error: // a bug
			panic(p)
		case error: // a folder that could not be synced
			died, err = true, p
		default:
			panic(p)
		}
	}()
	return false, step()
}
