package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"lambent/kv"
	"lambent/kv/pgkv"
	"lambent/kv/pgkv/pgtest"
)

// connections is how many sessions both sides have. More than a few for each core make PostgreSQL slower.
const connections = 16

// The scripts of pgbench send what kv/pgkv sends, in as many round trips. Keys have the prefix of the store's room.
const (
	pgKey    = `decode('0162656e63682f','hex') || int8send(:%s::int8 * 1000003 %% 1000000007)`
	pgMark   = `INSERT INTO kv_commit AS c VALUES (decode(lpad(to_hex(:client_id::int), 32, '0'), 'hex'), true, 1, pg_current_xact_id(), now()) ON CONFLICT (id) DO UPDATE SET n = CASE WHEN c.open THEN excluded.n END, xid = excluded.xid, at = excluded.at RETURNING xid;`
	pgBegin  = "BEGIN ISOLATION LEVEL SERIALIZABLE;\n"
	pgUpsert = " ON CONFLICT (k) DO UPDATE SET v = excluded.v;\n"
)

func pgKeyOf(name string) string { return fmt.Sprintf(pgKey, name) }

func putScript() string {
	return "\\set k random(1, 1000000000)\n\\startpipeline\n" + pgBegin + pgMark + "\nINSERT INTO kv VALUES (" + pgKeyOf("k") + ", :v::bytea)" + pgUpsert + "COMMIT;\n\\endpipeline\n"
}

func threeScript() (set, array string) {
	var keys []string
	for _, name := range []string{"a", "b", "c"} {
		set += fmt.Sprintf("\\set %s random(0, %d)\n", name, modified-1)
		keys = append(keys, pgKeyOf(name))
	}
	return set, "ARRAY[" + strings.Join(keys, ", ") + "]"
}

func modifyScript() string {
	set, array := threeScript()
	return set + "\\startpipeline\n" + pgBegin + "SELECT k, v FROM kv WHERE k = ANY(" + array + ");\n\\endpipeline\n" +
		"\\startpipeline\n" + pgMark + "\nINSERT INTO kv SELECT DISTINCT * FROM unnest(" + array + ", ARRAY[:v::bytea, :v::bytea, :v::bytea])" + pgUpsert + "COMMIT;\n\\endpipeline\n"
}

func readScript() string {
	return fmt.Sprintf("\\set k random(0, %d)\n", modified-1) + "\\startpipeline\nBEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;\nSELECT v FROM kv WHERE k = " + pgKeyOf("k") +
		";\n\\endpipeline\nCOMMIT;\n"
}

func putsBesidePgbench(ctx context.Context, o options, dir string) (mine, other side, closeAll func() error, err error) {
	return besidePgbench(ctx, o, dir, putScript(), func(s *kv.Store) func(uint64) error { return put(ctx, s) })
}

func modifiesBesidePgbench(ctx context.Context, o options, dir string) (mine, other side, closeAll func() error, err error) {
	return besidePgbench(ctx, o, dir, modifyScript(), func(s *kv.Store) func(uint64) error { return modify(ctx, s) })
}

func readsBesidePgbench(ctx context.Context, o options, dir string) (mine, other side, closeAll func() error, err error) {
	return besidePgbench(ctx, o, dir, readScript(), func(s *kv.Store) func(uint64) error {
		return func(n uint64) error {
			return s.View(ctx, func(r kv.Reader) error {
				_, err := r.Get(ctx, key(n%modified))
				return err
			})
		}
	})
}

// hotBesideUpdate adds to few numbers, with and without saying that they are hot.
func hotBesideUpdate(ctx context.Context, o options, _ string) (mine, other side, closeAll func() error, err error) {
	pg, err := pgtest.Start(ctx, pgtest.Options{Durable: true})
	if err != nil {
		return nil, nil, nil, err
	}
	engine, err := pgkv.Open(ctx, pg.URL(), pgkv.Options{Connections: connections})
	if err != nil {
		return nil, nil, nil, errors.Join(err, pg.Close())
	}
	s := kv.New(engine)
	add := func(key []byte) func(tx *kv.Tx) error {
		return func(tx *kv.Tx) error {
			_, err := tx.Get(ctx, key)
			tx.Set(key, value[:8])
			return err
		}
	}
	hot := func(n uint64) error { k := key(n % 100); return s.UpdateHot(ctx, [][]byte{k}, add(k)) }
	plain := func(n uint64) error { k := key(n % 100); return s.Update(ctx, add(k)) }
	return o.side(hot), o.side(plain), func() error { return errors.Join(s.Close(), pg.Close()) }, nil
}

// besidePgbench opens a server with two stores in it, one for each side.
func besidePgbench(ctx context.Context, o options, dir, script string, op func(*kv.Store) func(uint64) error) (mine, other side, closeAll func() error, err error) {
	pg, err := pgtest.Start(ctx, pgtest.Options{Durable: true, Settings: []string{"shared_buffers = 512MB", "max_wal_size = 4GB"}})
	if err != nil {
		return nil, nil, nil, err
	}
	var stores []*kv.Store
	closeAll = func() (err error) {
		for _, s := range stores {
			err = errors.Join(err, s.Close())
		}
		return errors.Join(err, pg.Close())
	}
	for _, schema := range []string{"mine", "theirs"} {
		s, err := openSchema(ctx, pg, schema)
		if err != nil {
			return nil, nil, nil, errors.Join(err, closeAll())
		}
		stores = append(stores, s)
	}
	file := filepath.Join(dir, "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return nil, nil, nil, errors.Join(err, closeAll())
	}
	return o.side(op(stores[0])), func(ctx context.Context) (float64, error) { return pgbench(ctx, pg, o, file) }, closeAll, nil
}

// openSchema makes a store with the keys that are read and modified.
func openSchema(ctx context.Context, pg *pgtest.Server, schema string) (*kv.Store, error) {
	if err := pg.SQL(ctx, "CREATE SCHEMA "+schema+" AUTHORIZATION lambent"); err != nil {
		return nil, err
	}
	engine, err := pgkv.Open(ctx, pg.URL()+"&search_path="+schema, pgkv.Options{Connections: connections})
	if err != nil {
		return nil, err
	}
	s := kv.New(engine)
	for from := uint64(0); from < modified; from += 5000 {
		err := s.Update(ctx, func(tx *kv.Tx) error {
			for n := from; n < from+5000; n++ {
				tx.Set(key(n), value)
			}
			return nil
		})
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

func pgbench(ctx context.Context, pg *pgtest.Server, o options, file string) (float64, error) {
	clients := strconv.Itoa(connections)
	cmd := exec.CommandContext(ctx, filepath.Join(pg.Bin(), "pgbench"), "-n", "-M", "prepared", "-c", clients, "-j", "2", "-f", file,
		"-T", strconv.Itoa(int(o.turn.Seconds())), "-D", "v="+strings.Repeat("v", valueSize), "--max-tries=100",
		"-h", "127.0.0.1", "-p", strconv.Itoa(pg.Port()), "-U", "lambent", "lambent")
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c search_path=theirs -c enable_seqscan=off -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan -c jit=off")
	out, err := cmd.CombinedOutput()
	found := tps.FindSubmatch(out)
	if err != nil || found == nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
