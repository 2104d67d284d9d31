package pgkv_test

import (
	"os"
	"strings"
	"testing"

	"lambent/kv/driver"
	"lambent/kv/kvtest"
	"lambent/kv/pgkv"
	"lambent/kv/pgkv/pgtest"
)

// database returns the URL of a database: the one that the environment names, or one of a server that runs
// as long as the test.
func database(t *testing.T) string {
	t.Helper()
	if at := os.Getenv(kvtest.StoreVariable); strings.HasPrefix(at, "postgres://") {
		return at
	}
	return server(t, pgtest.Options{}).URL()
}

// server starts a server that runs as long as the test.
func server(t *testing.T, o pgtest.Options) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open opens a store and closes it at the end of the test.
func open(t testing.TB, url string, o pgkv.Options) *pgkv.Engine {
	t.Helper()
	engine, err := pgkv.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

func TestExam(t *testing.T) {
	at := database(t)
	kvtest.Run(t, func(t testing.TB) driver.Engine { return open(t, kvtest.Schema(t, at), pgkv.Options{}) })
}
