package app

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lambent/cli"
	"lambent/kv/driver"
)

// dataFolder is the folder that holds everything of a cloud.
type dataFolder struct {
	path string
	temp bool // made for this run, removed at the end
}

// The parts of a data folder.
func (d dataFolder) store() string     { return filepath.Join(d.path, "store") }
func (d dataFolder) blobs() string     { return filepath.Join(d.path, "blobs") }
func (d dataFolder) ca() string        { return filepath.Join(d.path, "ca") }
func (d dataFolder) code() string      { return filepath.Join(d.path, "cache", "code") }
func (d dataFolder) spool() string     { return filepath.Join(d.path, "cache", "blobs") }
func (d dataFolder) sandboxes() string { return filepath.Join(d.path, "cache", "sandboxes") }

// openData makes the folder where it is missing and sees that it can be written.
func openData(c *Config) (dataFolder, error) {
	if c.Memory {
		dir, err := os.MkdirTemp("", "lambent-")
		if err == nil {
			err = os.Chmod(dir, 0o711) // functions run as other users and reach their code below it
		}
		return dataFolder{path: dir, temp: true}, err
	}
	path, err := filepath.Abs(c.Data)
	if err != nil {
		return dataFolder{}, err
	}
	if err := os.MkdirAll(path, 0o711); err != nil {
		return dataFolder{}, fmt.Errorf("data folder: %w; name another with --data", err)
	}
	probe, err := os.CreateTemp(path, ".probe-")
	if err != nil {
		return dataFolder{}, explainWrite(path, err)
	}
	_, err = probe.Write([]byte("x"))
	err = errors.Join(err, probe.Sync(), probe.Close(), os.Remove(probe.Name()))
	return dataFolder{path: path}, explainWrite(path, err)
}

// explainWrite says what to do about a data folder that does not take data.
func explainWrite(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("data folder %s: the disk is full; free some space or name another folder with --data", path)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data folder %s cannot be written by this user; mend its permissions or name another with --data", path)
	}
	return fmt.Errorf("data folder %s: %w", path, err)
}

func (d dataFolder) close() error {
	if d.temp {
		return os.RemoveAll(d.path)
	}
	return nil
}

// rootKey returns the root access key: the configured one, or one made at the first start.
func (d dataFolder) rootKey(c *Config) (cli.RootKey, error) {
	file := filepath.Join(d.path, cli.RootKeyFile)
	var key cli.RootKey
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &key)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("root key: %w", err)
	}
	wanted := key
	if c.AccessKeyID != "" {
		wanted = cli.RootKey{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}
	} else if key.AccessKeyID == "" {
		var id [10]byte
		var secret [30]byte
		rand.Read(id[:])
		rand.Read(secret[:])
		wanted = cli.RootKey{AccessKeyID: "AKIA" + base32.StdEncoding.EncodeToString(id[:]), SecretAccessKey: base64.StdEncoding.EncodeToString(secret[:])}
	}
	if wanted == key {
		return key, nil
	}
	b, err = json.Marshal(wanted)
	if err != nil {
		return key, err
	}
	return wanted, writeDurably(file, b, 0o600)
}

// masterKey returns the 32 bytes that seal secrets, made at the first start.
func (d dataFolder) masterKey() ([]byte, error) {
	file := filepath.Join(d.path, masterKeyFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		return key, writeDurably(file, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.AppendDecode(nil, trimNewline(b))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold 32 bytes in base64", file)
	}
	return key, nil
}

// Files of a data folder.
const (
	cloudIDFile   = "cloud-id"
	masterKeyFile = "master-key"
)

// sharedFiles are what the servers of one store have in common besides it.
var sharedFiles = []string{cloudIDFile, masterKeyFile, cli.RootKeyFile, "ca"}

// errInUse says that another process serves the folder.
var errInUse = errors.New("the data folder is in use")

// lock makes sure that one process at a time serves the folder. The kernel gives the lock back when the process ends.
func (d dataFolder) lock() (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// elsewhere says whether the folder is that of a cloud whose store is not in it.
func (d dataFolder) elsewhere() bool {
	_, id := os.Stat(filepath.Join(d.path, cloudIDFile))
	_, store := os.Stat(d.store())
	return id == nil && errors.Is(store, fs.ErrNotExist)
}

// cloudID returns the name that tells this cloud from others. A folder that has none gets one.
func (d dataFolder) cloudID() (id string, known bool, err error) {
	file := filepath.Join(d.path, cloudIDFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		id = rand.Text()
		return id, false, writeDurably(file, []byte(id+"\n"), 0o644)
	}
	return string(trimNewline(b)), true, err
}

func (d dataFolder) forgetCloudID() error { return os.Remove(filepath.Join(d.path, cloudIDFile)) }

func trimNewline(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// note writes down how commands find the running cloud; unnote takes it back.
func (d dataFolder) note(r cli.Running) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(d.path, cli.ServerFile), append(b, '\n'), 0o644)
}

func (d dataFolder) unnote() error {
	err := os.Remove(filepath.Join(d.path, cli.ServerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeDurably replaces file whole: readers and a crash see the old content or the new.
func writeDurably(file string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return explainWrite(filepath.Dir(file), err)
	}
	defer os.Remove(f.Name()) // in case of an error; after the rename there is nothing to remove
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(file))
	}
	return explainWrite(filepath.Dir(file), err)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
