package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/blob/fileblob"
	"lambent/blob/memblob"
	"lambent/kv"
	"lambent/kv/pebblekv"
)

// Orphans of blobs are looked for this often, and removed when they are older than the grace period: a blob
// is written before the row that refers to it.
const (
	sweepBlobsEvery = 6 * time.Hour
	blobGrace       = time.Hour
)

// openStores opens the ordered store and the store of large bytes.
func (p *cloudParts) openStores() error {
	engine, bucket, err := p.openEngines()
	if err != nil {
		return err
	}
	p.store = kv.New(engine)
	p.onClose(p.store.Close)
	p.blobs = blob.New(bucket, p.store.In("blob"))
	p.background("blob sweeper", p.sweepBlobs)
	return nil
}

func (p *cloudParts) openEngines() (*pebblekv.Engine, driver.Bucket, error) {
	if p.config.Memory {
		engine, err := pebblekv.OpenMem()
		return engine, memblob.New(), err
	}
	engine, err := pebblekv.Open(p.data.store(), pebblekv.Options{})
	if errors.Is(err, pebblekv.ErrInUse) {
		return nil, nil, fmt.Errorf("another lambent serves the data folder %s; use it with: lambent exec --data %s -- COMMAND, or name another folder with --data", p.data.path, p.data.path)
	}
	if err != nil {
		return nil, nil, explainWrite(p.data.path, err)
	}
	bucket, err := fileblob.Open(p.data.blobs())
	if err != nil {
		return nil, nil, errors.Join(explainWrite(p.data.path, err), engine.Close())
	}
	return engine, bucket, nil
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
