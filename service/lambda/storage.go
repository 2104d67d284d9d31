package lambda

import (
	"context"
	"encoding/binary"

	"lambent/cloud"
	"lambent/kv"
)

// maxStorage is how much code the versions of all functions and layers of an account may have in a region, zipped.
const maxStorage = 75 << 30

func storageKey(account, region string) []byte { return kv.Key(account, region, "storage") }

// charge adds to the account's code, or takes off it, before the transaction writes what that is. The first time it
// counts what is there.
func charge(ctx context.Context, tx *kv.Tx, account, region string, bytes int64) error {
	key := storageKey(account, region)
	row, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	var sum int64
	if len(row) == 8 {
		sum = int64(binary.BigEndian.Uint64(row))
	} else if sum, _, err = countStorage(ctx, tx, account, region); err != nil {
		return err
	}
	if sum += bytes; bytes > 0 && sum > maxStorage {
		f := cloud.Faultf("CodeStorageExceededException", "Code storage limit exceeded.")
		f.Detail = &CodeStorageExceededException{Type: new("User"), Message: new(f.Message)}
		return f.WithStatus(400)
	}
	if sum <= 0 {
		tx.Delete(key)
		return nil
	}
	tx.Set(key, binary.BigEndian.AppendUint64(nil, uint64(sum)))
	return nil
}

// countStorage adds up the code of all versions, and counts the functions.
func countStorage(ctx context.Context, rd kv.Reader, account, region string) (bytes, functions int64, err error) {
	versions, err := rd.Scan(ctx, kv.Prefix(account, region, "version"))
	if err != nil {
		return 0, 0, err
	}
	for _, row := range versions {
		var v versionRow
		if err := kv.DecodeRow(row.Value, &v); err != nil {
			return 0, 0, err
		}
		bytes += v.Code.Size
		if v.Number == 0 {
			functions++
		}
	}
	layers, err := rd.Scan(ctx, kv.Prefix(account, region, "layerversion"))
	if err != nil {
		return 0, 0, err
	}
	for _, row := range layers {
		var v layerVersionRow
		if err := kv.DecodeRow(row.Value, &v); err != nil {
			return 0, 0, err
		}
		bytes += v.Code.Size
	}
	return bytes, functions, nil
}
