// Package s3blob is a bucket under package blob in a bucket of S3, or of any store that speaks its API.
//
// S3 has neither a rename nor a removal that holds off a put, so an object of ours is any number of S3's:
//
//	PREFIX ab/HASH/GENERATION
//
// where ab are the first two digits of the hash and a generation is the time of a Commit and something random.
// All generations have the same bytes. A Commit makes a new one, by a copy inside S3 where there is one to
// copy, and then removes those before its own; RemoveOlder removes those before its cutoff. Neither can so
// undo another Commit, whatever comes first.
//
// An upload is kept in an unnamed local file until its hash is known; S3 is told the hash and refuses other
// bytes. An object that is read from its start to its end is one request; one that is read here and there
// comes whole into an unnamed local file first.
//
// An object that is being read while it is removed can be read to its end as long as the request that reads
// it lives; a request that has to be made again fails then.
package s3blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lambent/blob/driver"
)

// Bucket is a bucket of S3, or the part of it under a prefix.
type Bucket struct {
	client *client
	prefix string
	spool  string
}

var _ driver.Bucket = (*Bucket)(nil)

// Open returns the bucket that c names. It asks for one page of its names, to say at once what is wrong with
// the address or the key.
func Open(ctx context.Context, c Config) (*Bucket, error) {
	cl, err := newClient(c)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	b := &Bucket{client: cl, prefix: c.Prefix, spool: c.Spool}
	if b.prefix != "" && !strings.HasSuffix(b.prefix, "/") {
		b.prefix += "/"
	}
	if b.spool == "" {
		b.spool = os.TempDir()
	}
	if err := os.MkdirAll(b.spool, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	if _, err := cl.list(ctx, b.prefix, "", 1); err != nil {
		return nil, fmt.Errorf("open blobs: s3://%s at %s: %w", c.Bucket, cl.base, err)
	}
	return b, nil
}

const digits = "0123456789abcdef"

// folder is what the keys of an object's generations begin with.
func (b *Bucket) folder(name string) (string, error) {
	if len(name) != 64 || strings.Trim(name, digits) != "" {
		return "", fmt.Errorf("blob: malformed name %q", name)
	}
	return b.prefix + name[:2] + "/" + name + "/", nil
}

// generation is when a Commit was: 16 digits that sort as the times do, and something that no other has.
func generation(at time.Time) string {
	var random [4]byte
	rand.Read(random[:])
	return fmt.Sprintf("%016x-%x", uint64(at.UnixNano()), random)
}

// isBefore says whether the generation at the end of a key is from before cutoff. A key that is not ours is not.
func isBefore(key string, cutoff time.Time) bool {
	text, _, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], "-")
	at, err := strconv.ParseUint(text, 16, 64)
	return err == nil && int64(at) < cutoff.UnixNano()
}

// generations returns the keys of an object's generations, oldest first.
func (b *Bucket) generations(ctx context.Context, name string) ([]string, error) {
	folder, err := b.folder(name)
	if err != nil {
		return nil, err
	}
	page, err := b.client.list(ctx, folder, "", 1000) // more is left to the next time
	return page.keys, err
}

// Create implements driver.Bucket.
func (b *Bucket) Create(context.Context) (driver.Upload, error) {
	f, err := unnamed(b.spool)
	if err != nil {
		return nil, err
	}
	return &upload{bucket: b, file: f}, nil
}

// unnamed makes a file that goes when it is closed.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "blob-")
	if err != nil {
		return nil, explain(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// explain gives a full disk its name.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", driver.ErrFull, err)
	}
	return err
}

// findTries is how often a generation is looked for that goes before it can be read.
const findTries = 5

// Open implements driver.Bucket.
func (b *Bucket) Open(ctx context.Context, name string) (driver.Object, error) {
	for range findTries {
		keys, err := b.generations(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(keys) == 0 {
			return nil, fs.ErrNotExist
		}
		o, err := b.open(ctx, keys[len(keys)-1])
		if !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
	}
	return nil, fs.ErrNotExist
}

// RemoveOlder implements driver.Bucket.
func (b *Bucket) RemoveOlder(ctx context.Context, name string, cutoff time.Time) (bool, error) {
	keys, err := b.generations(ctx, name)
	if err != nil || len(keys) == 0 || !isBefore(keys[len(keys)-1], cutoff) {
		return false, err
	}
	return true, b.client.remove(ctx, keys)
}

// Names implements driver.Bucket.
func (b *Bucket) Names(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last, token := "", ""
		for {
			page, err := b.client.list(ctx, b.prefix, token, 1000)
			if err != nil {
				yield("", err)
				return
			}
			for _, key := range page.keys {
				name := filepath.Base(filepath.Dir(key))
				if folder, err := b.folder(name); err != nil || !strings.HasPrefix(key, folder) || name == last {
					continue
				}
				if last = name; !yield(name, nil) {
					return
				}
			}
			if token = page.next; token == "" {
				return
			}
		}
	}
}

// upload is a file without a name.
type upload struct {
	bucket *Bucket
	file   *os.File
	size   int64
	ended  bool
}

func (u *upload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	u.size += int64(n)
	return n, explain(err)
}

// Commit implements driver.Upload.
func (u *upload) Commit(ctx context.Context, name string) error {
	return errors.Join(u.commit(ctx, name), u.Abort())
}

func (u *upload) commit(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	folder, err := u.bucket.folder(name)
	if err != nil {
		return err
	}
	there, err := u.bucket.generations(ctx, name)
	if err != nil {
		return err
	}
	key := folder + generation(time.Now())
	if err := u.make(ctx, name, key, there); err != nil {
		return err
	}
	older := slices.DeleteFunc(there, func(k string) bool { return k >= key })
	return u.bucket.client.remove(ctx, older)
}

// make makes a generation: of another, if it is there long enough, else of the file.
func (u *upload) make(ctx context.Context, name, key string, there []string) error {
	if len(there) > 0 {
		err := u.bucket.client.copy(ctx, there[len(there)-1], key)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return u.bucket.client.put(ctx, key, name, u.file, u.size)
}

// Abort implements driver.Upload.
func (u *upload) Abort() error {
	if u.ended {
		return nil
	}
	u.ended = true
	return u.file.Close()
}

// ParseURL reads "s3://bucket/prefix?endpoint=https://host:port&region=name&style=path". Without an endpoint
// it is that of AWS in the region, which is us-east-1 unless it is given. The style is path, which is what
// other stores speak, when an endpoint is given, and host else.
func ParseURL(text string) (Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return Config{}, fmt.Errorf("%q is not s3://bucket/prefix", text)
	}
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"), Region: "us-east-1"}
	if strings.Trim(c.Prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") != "" {
		return Config{}, fmt.Errorf("the prefix %q has other characters than letters, digits, and / . _ -", c.Prefix)
	}
	style := ""
	for name, values := range u.Query() {
		switch value := values[len(values)-1]; name {
		case "endpoint":
			c.Endpoint = value
		case "region":
			c.Region = value
		case "style":
			style = value
		default:
			return Config{}, fmt.Errorf("s3://%s has no setting %q", c.Bucket, name)
		}
	}
	switch style {
	case "":
		c.Path = c.Endpoint != ""
	case "path", "host":
		c.Path = style == "path"
	default:
		return Config{}, fmt.Errorf("style: want path or host, got %q", style)
	}
	_, err = c.base()
	return c, err
}
