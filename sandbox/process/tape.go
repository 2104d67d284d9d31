package process

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// A tape is the first program of a sandbox: the list of system calls that build its walls, start the function,
// and then, as process 1, reap orphans until the function ends.
//
// It is not Go code, because a Go program as process 1 of every sandbox would cost its start (milliseconds) and its
// memory (megabytes) each time. It is data: records of a system call with its arguments, played one after the other by
// some fifty instructions of assembly (the player), which are copied into a small ELF image together with the tape.
// A record may store its result, take an argument from where another stored it, and branch on two values: enough
// to fork, and to wait in a loop. What the tape does is written in Go (program.go).
//
// When a record fails that may not, the player writes the record's address and the errno to the control socket
// and exits; failure tells which step it was.
type tape struct {
	code    []byte   // the player
	records []byte   // played from the first on
	steps   []string // what each record is, for errors
	data    []byte   // what arguments point to; starts with the player's error report
}

// The image's addresses; the player has them as constants.
const (
	textAddr   = 0x00400000
	dataAddr   = 0x10000000
	recordAddr = 0x20000000
	recordSize = 80 // number, 6 arguments, result, may-fail, mask of arguments by reference

	pageAlign = 0x10000 // the largest page size of any machine
	maxRecord = 4096
	maxData   = 8 << 20

	opBranch = ^uint64(0)

	controlFD = 4 // the player has it as a constant
)

// slot is the address of eight bytes that hold a result. As an argument it stands for its content.
type slot uint64

// place is the number of a record: the target of a branch.
type place int

func newTape(code []byte) *tape {
	return &tape{code: code, data: make([]byte, 16)}
}

// call appends a system call that must succeed.
func (t *tape) call(step string, number uintptr, args ...any) {
	t.record(step, uint64(number), 0, false, args)
}

// try appends a system call that may fail.
func (t *tape) try(step string, number uintptr, args ...any) {
	t.record(step, uint64(number), 0, true, args)
}

// keep appends a system call that must succeed and returns where its result will stand.
func (t *tape) keep(step string, number uintptr, args ...any) slot {
	s := t.slot()
	t.record(step, uint64(number), s, false, args)
	return s
}

// keepIn appends a system call that must succeed and whose result goes to s.
func (t *tape) keepIn(s slot, step string, number uintptr, args ...any) {
	t.record(step, uint64(number), s, false, args)
}

// store appends a system call that may fail and whose result goes to s.
func (t *tape) store(s slot, step string, number uintptr, args ...any) {
	t.record(step, uint64(number), s, true, args)
}

// branch appends a jump to target when the contents of a and b are equal, or when they differ.
func (t *tape) branch(a, b slot, equal bool, target place) place {
	var want int
	if equal {
		want = 1
	}
	at := t.here()
	t.record("branch", opBranch, 0, true, []any{a, b, uint64(recordAddr) + uint64(target)*recordSize, want})
	return at
}

// aim sets the target of the branch at b.
func (t *tape) aim(b place, target place) {
	binary.LittleEndian.PutUint64(t.records[int(b)*recordSize+24:], uint64(recordAddr)+uint64(target)*recordSize)
}

// here is the place of the next record.
func (t *tape) here() place { return place(len(t.steps)) }

func (t *tape) record(step string, op uint64, result slot, mayFail bool, args []any) {
	var words [recordSize / 8]uint64
	words[0] = op
	for i, a := range args {
		switch a := a.(type) {
		case int:
			words[1+i] = uint64(a)
		case uintptr:
			words[1+i] = uint64(a)
		case uint64:
			words[1+i] = a
		case string:
			words[1+i] = t.bytes(append([]byte(a), 0))
		case []byte:
			words[1+i] = t.bytes(a)
		case slot:
			words[1+i] = uint64(a)
			words[9] |= 1 << i
		default:
			panic(fmt.Sprintf("sandbox/process: %s: argument %d is a %T", step, i, a))
		}
	}
	words[7] = uint64(result)
	if mayFail {
		words[8] = 1
	}
	for _, w := range words {
		t.records = binary.LittleEndian.AppendUint64(t.records, w)
	}
	t.steps = append(t.steps, step)
}

// bytes puts b into the image and returns its address.
func (t *tape) bytes(b []byte) uint64 {
	for len(t.data)%8 != 0 {
		t.data = append(t.data, 0)
	}
	at := dataAddr + uint64(len(t.data))
	t.data = append(t.data, b...)
	return at
}

// words is bytes for 64-bit words.
func (t *tape) words(w ...uint64) uint64 {
	var b []byte
	for _, x := range w {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return t.bytes(b)
}

// slot reserves a place for a result, zero until then.
func (t *tape) slot() slot { return slot(t.words(0)) }

// strings puts a NULL-terminated array of strings into the image, as execve wants them.
func (t *tape) strings(list []string) uint64 {
	var w []uint64
	for _, s := range list {
		w = append(w, t.bytes(append([]byte(s), 0)))
	}
	return t.words(append(w, 0)...)
}

// failure makes an error of the player's report.
func (t *tape) failure(report []byte) error {
	if len(report) < 16 {
		return fmt.Errorf("sandbox ended while it was set up")
	}
	n := (binary.LittleEndian.Uint64(report) - recordAddr) / recordSize
	errno := syscall.Errno(binary.LittleEndian.Uint64(report[8:]))
	if n >= uint64(len(t.steps)) {
		return fmt.Errorf("sandbox: bad report from the player: %x", report)
	}
	return &setupError{step: t.steps[n], errno: errno}
}

// setupError says which step of a tape failed, and why.
type setupError struct {
	step  string
	errno syscall.Errno
}

func (e *setupError) Error() string { return e.step + ": " + e.errno.Error() }
func (e *setupError) Unwrap() error { return e.errno }

// image returns an open, executable memory file with player and tape.
func (t *tape) image() (int, error) {
	if len(t.steps) > maxRecord || len(t.data) > maxData {
		return -1, fmt.Errorf("sandbox: setup has %d steps and %d bytes of arguments, at most %d and %d are possible",
			len(t.steps), len(t.data), maxRecord, maxData)
	}
	fd, err := unix.MemfdCreate("init", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	recordOff := align(pageAlign + len(t.data))
	parts := []struct {
		b   []byte
		off int
	}{{t.header(recordOff), 0}, {t.data, pageAlign}, {t.records, recordOff}}
	for _, p := range parts {
		if _, err := unix.Pwrite(fd, p.b, int64(p.off)); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("write setup image: %w", err)
		}
	}
	return fd, nil
}

// header returns the ELF header, the three program headers and the code.
func (t *tape) header(recordOff int) []byte {
	const ehsize, phsize, segments = 64, 56, 3
	le := binary.LittleEndian
	entry := uint64(textAddr + ehsize + phsize*segments)

	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	b = le.AppendUint16(b, 2) // ET_EXEC
	b = le.AppendUint16(b, elfMachine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, entry)
	b = le.AppendUint64(b, ehsize) // program headers follow
	b = le.AppendUint64(b, 0)      // no sections
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{ehsize, phsize, segments, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	segment := func(flags uint32, off int, addr uint64, size int) {
		b = le.AppendUint32(b, 1) // PT_LOAD
		b = le.AppendUint32(b, flags)
		b = le.AppendUint64(b, uint64(off))
		b = le.AppendUint64(b, addr)
		b = le.AppendUint64(b, addr)
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, pageAlign)
	}
	const r, w, x = 4, 2, 1
	segment(r|x, 0, textAddr, ehsize+phsize*segments+len(t.code))
	segment(r|w, pageAlign, dataAddr, len(t.data))
	segment(r|w, recordOff, recordAddr, len(t.records))
	return append(b, t.code...)
}

func align(n int) int { return (n + pageAlign - 1) &^ (pageAlign - 1) }
