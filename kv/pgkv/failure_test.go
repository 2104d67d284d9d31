package pgkv_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"lambent/kv"
	"lambent/kv/driver"
	"lambent/kv/kvtest"
	"lambent/kv/pgkv"
	"lambent/kv/pgkv/pgtest"
)

// TestOpenRefuses: what cannot be opened is refused with a message that names the trouble, and is left as it was.
func TestOpenRefuses(t *testing.T) {
	at := database(t)
	store := func(sql string) string {
		url := kvtest.Schema(t, at)
		check(t, open(t, url, pgkv.Options{Cloud: "ours"}).Close())
		execute(t, url, sql)
		return url
	}
	foreign := kvtest.Schema(t, at)
	execute(t, foreign, "CREATE TABLE kv (id int)")
	for _, tt := range []struct {
		name, url string
		want      error
		text      string
	}{
		{"newer", store("UPDATE kv_meta SET format = 2"), pgkv.ErrNewerFormat, "its format is 2, this version knows 1"},
		{"older", store("UPDATE kv_meta SET format = 0"), pgkv.ErrNotStore, "its format is 0"},
		{"of another cloud", store("UPDATE kv_meta SET cloud = 'theirs'"), pgkv.ErrOtherCloud, "it is the store of theirs, this is ours"},
		{"without its row", store("DELETE FROM kv_meta"), pgkv.ErrNotStore, "kv_meta is empty"},
		{"something else", foreign, pgkv.ErrNotStore, "a table kv that is not ours"},
		{"nobody listens", "postgres://u:secret@127.0.0.1:1/x", driver.ErrUnavailable, "127.0.0.1:1/x: kv: the store cannot be reached: 127.0.0.1:1 (127.0.0.1): dial error"},
		{"no such database", change(t, at, func(u *url.URL) { u.Path = "/none" }), nil, `database "none" does not exist; make it with: createdb`},
		{"no such user", change(t, at, func(u *url.URL) { u.User = url.UserPassword("nobody", "secret") }), nil, `the server refuses this user: role "nobody" does not exist`},
		{"no such schema", change(t, at, func(u *url.URL) { u.RawQuery += "&search_path=none" }), nil, "make the schema public, or name another with search_path"},
		{"no TLS there", change(t, at, func(u *url.URL) { u.RawQuery = "sslmode=verify-full" }), driver.ErrUnavailable, "server refused TLS connection"},
		{"not a URL", "postgres://u:secret@127.0.0.1:port/x", nil, "it should look like postgres://"},
		{"no such option", "postgres://u:secret@127.0.0.1/x?sslmode=perhaps", nil, "sslmode is invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := pgkv.Open(t.Context(), tt.url, pgkv.Options{Cloud: "ours"})
			if err == nil {
				e.Close()
				t.Fatal("opened")
			}
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.text)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message shows the password or has several lines: %v", err)
			}
		})
	}
}

func change(t *testing.T, at string, fn func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(at)
	check(t, err)
	fn(u)
	return u.String()
}

// execute runs SQL beside the engine.
func execute(t *testing.T, at, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), at)
	check(t, err)
	defer c.Close(t.Context())
	_, err = c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	check(t, err)
}

// TestLostConnection breaks the connection in every phase of a transaction. Before its commit is sent nothing
// has happened, and afterwards the engine finds out what has.
func TestLostConnection(t *testing.T) {
	at := database(t)
	u, err := url.Parse(at)
	check(t, err)
	p := startProxy(t, u.Host)
	direct := kvtest.Schema(t, at)
	through := change(t, direct, func(u *url.URL) { u.Host = p.listener.Addr().String() })
	e := open(t, through, pgkv.Options{})
	defer e.Close()
	judge := open(t, direct, pgkv.Options{})
	defer judge.Close()
	value := func(s string) driver.Op { return driver.Op{Kind: driver.Set, Key: []byte{2}, Value: []byte(s)} }
	commit(t, e, value("old"))

	for _, tt := range []struct {
		name      string
		reads     bool
		cut       *fault // while the commit runs; nil cuts before
		committed bool
	}{
		{"before the commit", true, nil, false},
		{"the commit was not sent", true, &fault{}, false},
		{"the commit was sent, its answer lost", true, &fault{fromServer: true}, true},
		{"a blind write was not sent", false, &fault{}, false},
		{"a blind write was sent, its answer lost", false, &fault{fromServer: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			commit(t, e, value("old"))
			txn := begin(t, e, driver.ReadWrite)
			if tt.reads {
				_, err := txn.Get(t.Context(), []byte{2}, true)
				check(t, err)
			}
			if tt.cut != nil {
				p.next(tt.cut)
			} else {
				p.cutAll()
			}
			stamp, err := txn.Commit(t.Context(), []driver.Op{value("new")})
			want := "old"
			if tt.committed {
				want = "new"
				check(t, err)
				if later := commit(t, e, driver.Op{Kind: driver.Delete, Key: []byte{3}}); string(later[:]) <= string(stamp[:]) {
					t.Errorf("stamp %x of the lost commit, %x of a later one", stamp, later)
				}
			} else if !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("Commit: got %v, want ErrUnavailable", err)
			}
			if got := read(t, judge, []byte{2}); got != want {
				t.Errorf("the store has %q, want %q", got, want)
			}
		})
	}
	t.Run("a read", func(t *testing.T) {
		for _, f := range []*fault{{}, {fromServer: true}} {
			p.next(f)
			txn := begin(t, e, driver.ReadWrite)
			_, err := txn.Get(t.Context(), []byte{2}, true)
			if !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("Get: got %v, want ErrUnavailable", err)
			}
			if err := txn.Finish(t.Context()); !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("Finish: got %v, want ErrUnavailable", err)
			}
		}
	})
	t.Run("kv tries again", func(t *testing.T) {
		s := kv.New(e)
		runs := 0
		check(t, s.Update(t.Context(), func(tx *kv.Tx) error {
			if runs++; runs == 1 {
				p.cutAll()
			}
			_, err := tx.Get(t.Context(), []byte("k"))
			tx.Set([]byte("k"), nil)
			return err
		}))
		check(t, s.View(t.Context(), func(r kv.Reader) error {
			if runs++; runs == 3 {
				p.cutAll()
			}
			_, err := r.Get(t.Context(), []byte("k"))
			return err
		}))
	})
}

// TestLateCommit: a commit that reaches the server after the engine has said that it did not happen does not happen.
func TestLateCommit(t *testing.T) {
	at := database(t)
	u, err := url.Parse(at)
	check(t, err)
	p := startProxy(t, u.Host)
	direct := kvtest.Schema(t, at)
	e := open(t, change(t, direct, func(u *url.URL) { u.Host = p.listener.Addr().String() }), pgkv.Options{})
	defer e.Close()
	for _, reads := range []bool{false, true} {
		txn := begin(t, e, driver.ReadWrite)
		if reads {
			_, err := txn.Get(t.Context(), []byte{2}, true)
			check(t, err)
		}
		f := p.next(&fault{hold: make(chan struct{})})
		_, err := txn.Commit(t.Context(), []driver.Op{{Kind: driver.Set, Key: []byte{2}, Value: []byte("late")}})
		if !errors.Is(err, driver.ErrUnavailable) {
			t.Errorf("Commit: got %v, want ErrUnavailable", err)
		}
		<-f.happened
		close(f.hold)
		// Whatever the server made of it, it has done so once its session is gone.
		for sessions(t, direct) > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if got := read(t, e, []byte{2}); got != "" {
			t.Errorf("reads %v: the late commit has happened", reads)
		}
	}
}

// sessions returns how many sessions of the engine's role run a statement or a transaction now.
func sessions(t *testing.T, at string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), at)
	check(t, err)
	defer c.Close(t.Context())
	check(t, c.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE application_name = 'lambent' AND state <> 'idle' AND query NOT LIKE '%pg_stat_activity%'`).Scan(&n))
	return n
}

// TestServerAway: a store that is away is waited for, and one that stays away is named in the error.
func TestServerAway(t *testing.T) {
	t.Parallel()
	pg := server(t, pgtest.Options{})
	s := kv.New(open(t, pg.URL(), pgkv.Options{}))
	defer s.Close()
	put := func(ctx context.Context, v string) error {
		return s.Update(ctx, func(tx *kv.Tx) error { tx.Set([]byte("k"), []byte(v)); return nil })
	}
	check(t, put(t.Context(), "1"))
	check(t, pg.Stop())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := put(ctx, "2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with the server away: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- put(t.Context(), "3") }() // ends before the test does: <-done
	check(t, pg.Start(t.Context()))
	check(t, <-done)
	check(t, pg.Stop())
	err := put(t.Context(), "4")
	if !errors.Is(err, kv.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "connection refused") {
		t.Errorf("with the server away for good: %v", err)
	}
	check(t, pg.Start(t.Context()))
}

// TestOldTransaction: a transaction that takes too long ends, at the server too.
func TestOldTransaction(t *testing.T) {
	t.Parallel()
	at := database(t)
	e := open(t, kvtest.Schema(t, at), pgkv.Options{})
	defer e.Close()
	txn := begin(t, e, driver.ReadWrite)
	_, err := txn.Get(t.Context(), []byte{2}, true)
	check(t, err)
	for start := time.Now(); time.Since(start) < 6*time.Second; time.Sleep(100 * time.Millisecond) {
		// The server counts real time.
	}
	_, err = txn.Commit(t.Context(), []driver.Op{{Kind: driver.Set, Key: []byte{2}}})
	if !errors.Is(err, driver.ErrTooOld) && !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("Commit after 6 s: %v", err)
	}
	if got := read(t, e, []byte{2}); got != "" {
		t.Error("it was committed")
	}
}

// TestMovedData: when a dump of the store is restored in another installation, whose transaction ids begin anew,
// stamps go on above the old ones.
func TestMovedData(t *testing.T) {
	at := database(t)
	where := kvtest.Schema(t, at)
	e := open(t, where, pgkv.Options{})
	before := commit(t, e, driver.Op{Kind: driver.Delete, Key: []byte{2}})
	check(t, e.Close())
	execute(t, where, "UPDATE kv_meta SET system = system + 1")
	for range 2 {
		e = open(t, where, pgkv.Options{})
		after := commit(t, e, driver.Op{Kind: driver.Delete, Key: []byte{2}})
		stable, err := e.StableBefore(t.Context())
		check(t, err)
		if string(after[:]) <= string(before[:]) || string(stable[:]) <= string(after[:]) {
			t.Errorf("stamp %x, then %x, stable before %x", before, after, stable)
		}
		before = after
		check(t, e.Close())
	}
}

// TestTLS: a store is reached over TLS with the server's name checked, and not when the name is another.
func TestTLS(t *testing.T) {
	pg := server(t, pgtest.Options{TLS: true})
	verify := func(host string) string {
		return change(t, pg.URL(), func(u *url.URL) {
			u.Host = host + ":" + u.Port()
			u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {pg.Dir() + "/server.crt"}}.Encode()
		})
	}
	if _, err := os.Stat(pg.Dir() + "/server.crt"); err != nil {
		t.Fatal(err)
	}
	e := open(t, verify("localhost"), pgkv.Options{})
	commit(t, e, driver.Op{Kind: driver.Delete, Key: []byte{2}})
	check(t, e.Close())
	e, err := pgkv.Open(t.Context(), verify("127.0.0.1"), pgkv.Options{})
	if err == nil {
		e.Close()
		t.Fatal("a server of another name was taken")
	}
	if !strings.Contains(err.Error(), "127.0.0.1") || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

// TestTargetSessionAttributes: what people put into URLs of several hosts does no harm.
func TestTargetSessionAttributes(t *testing.T) {
	where := kvtest.Schema(t, database(t))
	for _, attrs := range []string{"read-write", "primary", "any"} {
		e := open(t, change(t, where, func(u *url.URL) { u.RawQuery += "&target_session_attrs=" + attrs }), pgkv.Options{})
		commit(t, e, driver.Op{Kind: driver.Delete, Key: []byte{2}})
		check(t, e.Close())
	}
}

// TestOpenTogether: servers that start at the same time on an empty database make one store.
func TestOpenTogether(t *testing.T) {
	where := kvtest.Schema(t, database(t))
	engines := make([]*pgkv.Engine, 4)
	errs := make([]error, len(engines))
	var wg sync.WaitGroup
	for i := range engines {
		wg.Go(func() { engines[i], errs[i] = pgkv.Open(t.Context(), where, pgkv.Options{}) })
	}
	wg.Wait()
	for i, e := range engines {
		check(t, errs[i])
		defer e.Close()
		if e.Cloud() != engines[0].Cloud() {
			t.Errorf("one says %s, another %s", engines[0].Cloud(), e.Cloud())
		}
	}
	commit(t, engines[0], driver.Op{Kind: driver.Set, Key: []byte{2}, Value: []byte("v")})
	if got := read(t, engines[3], []byte{2}); got != "v" {
		t.Errorf("another server reads %q", got)
	}
}

// TestStableTogether: of many who ask at the same time each gets an answer that covers his own commit.
func TestStableTogether(t *testing.T) {
	e := open(t, kvtest.Schema(t, database(t)), pgkv.Options{})
	defer e.Close()
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for range 5 {
				txn, err := e.Begin(t.Context(), driver.ReadWrite)
				if err != nil {
					t.Error(err)
					return
				}
				stamp, err := txn.Commit(t.Context(), []driver.Op{{Kind: driver.Set, Key: []byte{2, byte(w)}}})
				if err != nil {
					t.Error(err)
					return
				}
				stable, err := e.StableBefore(t.Context())
				if err != nil || string(stable[:]) <= string(stamp[:]) {
					t.Errorf("stable before %x, the commit %x, %v", stable, stamp, err)
				}
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.StableBefore(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}
