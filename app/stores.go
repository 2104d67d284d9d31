package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/blob/fileblob"
	"lambent/blob/memblob"
	"lambent/blob/s3blob"
	"lambent/kv"
	kvdriver "lambent/kv/driver"
	"lambent/kv/pebblekv"
	"lambent/kv/pgkv"
	"lambent/upgrade"
)

// Orphans of blobs are looked for this often, and removed when they are older than the grace period: a blob
// is written before the row that refers to it.
const (
	sweepBlobsEvery = 6 * time.Hour
	blobGrace       = time.Hour
)

// openStores opens the stores of a cloud that serves. Its data folder is this process's alone, wherever the store is.
func (p *cloudParts) openStores() error {
	unlock, err := p.data.lock()
	if errors.Is(err, errInUse) {
		return explainInUse(p.data.path)
	}
	if err != nil {
		return explainWrite(p.data.path, err)
	}
	p.onClose(unlock)
	if p.config.Store == "" && p.data.elsewhere() {
		return fmt.Errorf("the data folder %s belongs to a cloud whose store is a database; name that with --store, or another folder with --data", p.data.path)
	}
	if err := p.openStoresIn(upgrade.Store); err != nil {
		return err
	}
	err = upgrade.Belongs(context.Background(), p.store, p.master)
	if errors.Is(err, upgrade.ErrOtherKeys) {
		return fmt.Errorf("%w than the one in %s; serve the store with the data folder that it came with, or restore a backup, which has both", err, p.data.path)
	}
	return err
}

func explainInUse(folder string) error {
	return fmt.Errorf("another lambent serves the data folder %s; use it with: lambent exec --data %s -- COMMAND, or name another folder with --data", folder, folder)
}

// openStoresIn opens the ordered store, whose format it asks of readFormat, and the store of large bytes.
func (p *cloudParts) openStoresIn(readFormat func(context.Context, *kv.Store) (int, error)) error {
	engine, bucket, err := p.openEngines()
	if err != nil {
		return err
	}
	p.store, p.bucket = kv.New(engine), bucket
	p.onClose(p.store.Close)
	p.format, err = readFormat(context.Background(), p.store)
	switch {
	case errors.Is(err, upgrade.ErrRestoring):
		return explainHalf(p.data.path)
	case err != nil:
		return err
	}
	p.blobs = blob.New(bucket, p.store.In("blob"))
	return nil
}

func (p *cloudParts) openEngines() (kvdriver.Engine, driver.Bucket, error) {
	if p.config.Memory {
		engine, err := pebblekv.OpenMem()
		return engine, memblob.New(), err
	}
	open := p.openFolder
	if p.config.Store != "" {
		open = p.openDatabase
	}
	engine, err := open()
	if err != nil {
		return nil, nil, err
	}
	bucket, err := p.openBucket()
	if err != nil {
		return nil, nil, errors.Join(err, engine.Close())
	}
	return engine, bucket, nil
}

// openBucket opens where large bytes go: a folder, or a bucket of S3.
func (p *cloudParts) openBucket() (driver.Bucket, error) {
	if !strings.HasPrefix(p.config.Blobs, "s3:") {
		folder := cmp.Or(p.config.Blobs, p.data.blobs())
		if p.readOnly {
			return fileblob.Reader(folder), nil
		}
		bucket, err := fileblob.Open(folder)
		if err != nil {
			return nil, explainWrite(folder, err)
		}
		p.onClose(bucket.Close)
		return bucket, nil
	}
	c, err := s3blob.ParseURL(p.config.Blobs)
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	c.AccessKeyID, c.SecretAccessKey, c.Spool = p.config.BlobsKeyID, p.config.BlobsSecret, p.data.spool()
	return s3blob.Open(context.Background(), c)
}

// openFolder opens the store in the data folder.
func (p *cloudParts) openFolder() (kvdriver.Engine, error) {
	engine, err := pebblekv.Open(p.data.store(), pebblekv.Options{ReadOnly: p.readOnly})
	if errors.Is(err, pebblekv.ErrInUse) {
		return nil, explainInUse(p.data.path)
	}
	if err != nil {
		return nil, explainWrite(p.data.path, err)
	}
	return engine, nil
}

// openDatabase opens the store that servers share. The keys that seal what is in it lie in the data folder, so
// store and folder must be of the same cloud.
func (p *cloudParts) openDatabase() (kvdriver.Engine, error) {
	id, known, err := p.data.cloudID()
	if err != nil {
		return nil, err
	}
	engine, err := pgkv.Open(context.Background(), p.config.Store, pgkv.Options{Cloud: id})
	if err == nil || known {
		return engine, err
	}
	err = errors.Join(err, p.data.forgetCloudID()) // the folder has nothing of the cloud yet
	if errors.Is(err, pgkv.ErrOtherCloud) {
		err = fmt.Errorf("the store is that of another server's cloud; to join it, copy %s from that server's data folder to %s", strings.Join(sharedFiles, ", "), p.data.path)
	}
	return nil, err
}

func (p *cloudParts) sweepBlobs(ctx context.Context) error {
	tick := time.NewTicker(sweepBlobsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			n, err := p.blobs.Sweep(ctx, blobGrace)
			if err != nil && ctx.Err() == nil {
				p.log.Warn("sweep blobs", "error", err)
			} else if n > 0 {
				p.log.Info("swept blobs", "removed", n)
			}
		}
	}
}
