package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// rowFormat is the first byte of a row: the version of its format. Version 1 is JSON.
const rowFormat = 1

// ErrRowFormat says that a row was written in a format that this version does not know.
var ErrRowFormat = errors.New("kv: unknown row format")

// PutRow stores v as a row: a format byte, then JSON.
func PutRow(tx *Tx, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode row: %w", err)
	}
	tx.Set(key, append([]byte{rowFormat}, b...))
	return nil
}

// GetRow reads the row at key into v; found is false when there is none.
func GetRow(ctx context.Context, r Reader, key []byte, v any) (found bool, err error) {
	b, err := r.Get(ctx, key)
	if err != nil || b == nil {
		return false, err
	}
	return true, DecodeRow(b, v)
}

// DecodeRow reads the bytes of a row into v, a pointer to what is overwritten whole.
func DecodeRow(value []byte, v any) error {
	reflect.ValueOf(v).Elem().SetZero() // JSON alone would leave what an earlier attempt has put there
	if len(value) == 0 || value[0] != rowFormat {
		return fmt.Errorf("%w: %.1x", ErrRowFormat, value)
	}
	if err := json.Unmarshal(value[1:], v); err != nil {
		return fmt.Errorf("decode row: %w", err)
	}
	return nil
}

// CheckRow says what is wrong with the bytes of a row that claims to be JSON. Others, which have forms of their
// own, pass.
func CheckRow(value []byte) error {
	if len(value) < 2 || value[0] != rowFormat || value[1] != '{' && value[1] != '[' && value[1] != '"' {
		return nil
	}
	if !json.Valid(value[1:]) {
		return errors.New("the row is not the JSON that it claims to be")
	}
	return nil
}
