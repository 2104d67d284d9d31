// Package kvtest holds the exam that every engine under package kv must pass, and stores for tests.
package kvtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"lambent/kv"
	"lambent/kv/driver"
	"lambent/kv/pebblekv"
	"lambent/kv/pgkv"
)

// StoreVariable is the environment variable that chooses the engine of the stores that tests get: "pebble",
// which is the default, "refusing", which is Pebble that refuses about every second transaction (see Refusing), or the
// URL of a PostgreSQL database.
const StoreVariable = "LAMBENT_TEST_STORE"

// Mem returns a fresh store that ends with the test: Pebble in memory, or, when StoreVariable holds the URL of
// a database, tables in a schema of their own there.
func Mem(t testing.TB) *kv.Store {
	t.Helper()
	store := kv.New(Engine(t))
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Engine returns the engine of a fresh store, as Mem does. The caller closes it.
func Engine(t testing.TB) driver.Engine {
	t.Helper()
	var engine driver.Engine
	var err error
	switch at := os.Getenv(StoreVariable); {
	case at == "" || at == "pebble":
		engine, err = pebblekv.OpenMem()
	case at == "refusing":
		if engine, err = pebblekv.OpenMem(); err == nil {
			engine = Refusing(engine)
		}
	case strings.HasPrefix(at, "postgres://"):
		engine, err = pgkv.Open(t.Context(), Schema(t, at), pgkv.Options{Connections: 12, Unattended: true})
	default:
		t.Fatalf("%s is %q; it takes pebble, refusing or postgres://…", StoreVariable, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// Schema makes a schema in the database at a URL and returns the URL of a store in it. The schema is dropped at the
// end of the test.
func Schema(t testing.TB, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d_%x", os.Getpid(), rand.Uint64())
	execute(t, at, "CREATE SCHEMA "+name)
	t.Cleanup(func() { execute(t, at, "DROP SCHEMA "+name+" CASCADE") })
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// execute runs one statement. The test's context has ended when it cleans up.
func execute(t testing.TB, at, sql string) {
	t.Helper()
	ctx := t.Context()
	if ctx.Err() != nil {
		ctx = context.Background()
	}
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}
