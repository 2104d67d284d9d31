package s3

import (
	"errors"

	"lambent/blob"
	"lambent/kv"
)

// CheckRow says what is wrong with a row of this room, and names the blobs that it refers to and as whom.
func CheckRow(row kv.KV, refers func(ref blob.Ref, owner string)) error {
	head, err := firstPart(row.Key)
	switch {
	case err != nil:
		return err
	case head == "object":
		return checkObject(row, refers)
	case head == "part":
		return checkPart(row, refers)
	case head == "data" || head == "null": // bytes of an object, and a number
		return nil
	}
	return kv.CheckRow(row.Value)
}

// firstPart reads the word that a key begins with.
func firstPart(key []byte) (string, error) {
	for i, b := range key {
		if b != 0 {
			continue
		}
		parts, err := kv.Unkey(key[:i+1])
		if err != nil || len(parts) != 1 {
			break
		}
		if word, ok := parts[0].(string); ok {
			return word, nil
		}
	}
	return "", errors.New("the key does not begin with a word")
}

func checkObject(row kv.KV, refers func(blob.Ref, string)) error {
	var o object
	if err := kv.DecodeRow(row.Value, &o); err != nil {
		return err
	}
	bucket, err := firstPart(row.Key[len(kv.Key("object")):])
	if err != nil {
		return errors.New("the key names no bucket")
	}
	base := objectsOf(bucket)
	key, rest := unescape(row.Key[len(base):])
	if len(rest) != 8 {
		return errors.New("the key does not end with a version's number")
	}
	if _, seq := splitVersionKey(base, row.Key); o.Blob != nil {
		refers(*o.Blob, versionOwner(bucket, key, seq))
	}
	return nil
}

func checkPart(row kv.KV, refers func(blob.Ref, string)) error {
	parts, err := kv.Unkey(row.Key)
	if err != nil {
		return err
	}
	if len(parts) != 3 {
		return errors.New("the key is not that of a part")
	}
	id, isWord := parts[1].(string)
	number, isNumber := parts[2].(int64)
	if !isWord || !isNumber {
		return errors.New("the key is not that of a part")
	}
	var p part
	if err := kv.DecodeRow(row.Value, &p); err != nil {
		return err
	}
	refers(p.Blob, partOwner(id, int(number)))
	return nil
}
