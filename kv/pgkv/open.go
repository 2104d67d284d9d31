package pgkv

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"lambent/kv/driver"
)

// Options are the settings of a store. The zero value is right for a server.
type Options struct {
	// Cloud is the name of the cloud that the store must belong to. A new store gets it. Empty takes the
	// store as it is, and gives a new one a name of its own: see Engine.Cloud.
	Cloud string
	// Connections bounds the pool. 0 is pool_max_conns of the URL, or 24.
	Connections int
	// Unattended leaves out the work from time to time, which ends dead sessions and sweeps old rows. It is for
	// tests whose clock leaps.
	Unattended bool
}

// Errors of opening.
var (
	// ErrNewerFormat says that the store was written by a newer version of the program.
	ErrNewerFormat = errors.New("kv: the store was written by a newer version")
	// ErrNotStore says that the database holds something else.
	ErrNotStore = errors.New("kv: not a store of this program")
	// ErrOtherCloud says that the store belongs to another cloud.
	ErrOtherCloud = errors.New("kv: the store belongs to another cloud")
)

// defaultConnections is the bound of a pool: a quarter of what PostgreSQL allows unless told otherwise, so that
// a few servers fit.
const defaultConnections = 24

// openFor is how long Open tries to reach the server.
const openFor = 15 * time.Second

// Open opens the store in the database at a URL, postgres://user:password@host:port/database?sslmode=verify-full,
// and makes its tables if there are none. The URL may name several hosts; the one that takes writes is
// used. A search_path in it chooses another schema than public.
func Open(ctx context.Context, rawURL string, o Options) (*Engine, error) {
	c, err := config(rawURL, o)
	if err != nil {
		return nil, err
	}
	keep, stop := context.WithCancel(context.Background())
	e := &Engine{where: place(c), seed: maphash.MakeSeed(), horizons: horizons{asking: make(chan struct{}, 1)}, stop: stop}
	ctx, cancel := context.WithTimeout(ctx, openFor)
	defer cancel()
	if err := e.open(ctx, c, o); err != nil {
		stop()
		if e.pool != nil {
			e.pool.Close()
		}
		return nil, fmt.Errorf("open store %s: %w", e.where, err)
	}
	if !o.Unattended {
		e.keeper.Go(func() { e.keep(keep) })
	}
	return e, nil
}

// config reads the URL and sets what every session needs.
func config(rawURL string, o Options) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return nil, fmt.Errorf("open store: %s", lastCause(hidePassword(rawURL, err)))
	}
	if u, err := url.Parse(rawURL); err == nil && !u.Query().Has("pool_max_conns") {
		c.MaxConns = defaultConnections
	}
	if o.Connections > 0 {
		c.MaxConns = int32(o.Connections)
	}
	c.MaxConnIdleTime = 5 * time.Minute
	c.MaxConnLifetime = time.Hour
	c.MaxConnLifetimeJitter = 10 * time.Minute
	c.AfterConnect = connected
	cc := c.ConnConfig
	cc.ConnectTimeout = min(cmpOr(cc.ConnectTimeout, 5*time.Second), 5*time.Second)
	// Not as the URL may say: "read-write" asks for the default of transactions, which is read-only here.
	cc.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	for name, value := range map[string]string{
		"application_name":                    applicationName,
		"default_transaction_isolation":       "serializable", // of a view's only read
		"default_transaction_read_only":       "on",
		"enable_seqscan":                      "off", // it locks the whole table for reading
		"enable_bitmapscan":                   "off", // it locks pages of the table where an index scan locks rows
		"plan_cache_mode":                     "force_generic_plan",
		"statement_timeout":                   milliseconds(maxAge),
		"idle_in_transaction_session_timeout": milliseconds(maxAge),
		"lock_timeout":                        milliseconds(maxAge),
		"synchronous_commit":                  "on", // an acknowledged write is on the standbys that the server waits for
		"client_min_messages":                 "error",
		"jit":                                 "off",
	} {
		cc.RuntimeParams[name] = value
	}
	return c, nil
}

// applicationName marks our sessions at the server.
const applicationName = "lambent"

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

func cmpOr(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// place names host and database.
func place(c *pgxpool.Config) string {
	s := fmt.Sprintf("%s:%d", c.ConnConfig.Host, c.ConnConfig.Port)
	for _, f := range c.ConnConfig.Fallbacks {
		if next := fmt.Sprintf("%s:%d", f.Host, f.Port); next != s {
			s += "," + next
		}
	}
	return s + "/" + c.ConnConfig.Database
}

// hidePassword is for messages of the URL's parser, which quote it.
func hidePassword(rawURL string, err error) error {
	if u, bad := url.Parse(rawURL); bad == nil {
		return fmt.Errorf("%s: %w", u.Redacted(), errors.New(lastCause(err)))
	}
	return errors.New("the URL of the store cannot be read; it should look like postgres://user:password@host:5432/database")
}

func (e *Engine) open(ctx context.Context, c *pgxpool.Config, o Options) error {
	if err := e.prepare(ctx, c.ConnConfig, o); err != nil {
		return err
	}
	var err error
	if e.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return e.failure(ctx, err)
	}
	conn, err := e.acquire(ctx)
	if err != nil {
		return err
	}
	conn.release()
	return nil
}

// prepare makes the tables or checks them, on a connection of its own.
func (e *Engine) prepare(ctx context.Context, c *pgx.ConnConfig, o Options) error {
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return e.connectFailure(ctx, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return e.failure(ctx, err)
	}
	if version < oldestServer {
		return fmt.Errorf("%w: its version is %d, the oldest that does is %d", errOldServer, version/10000, oldestServer/10000)
	}
	err = pgx.BeginTxFunc(ctx, conn, housekeeping, func(tx pgx.Tx) error {
		return e.load(ctx, tx, o)
	})
	if errors.Is(err, errLoad) {
		return err
	}
	return e.failure(ctx, err)
}

// housekeeping is how transactions run that are not kv's.
var housekeeping = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

// oldestServer is the oldest version of PostgreSQL that the engine was tried with.
const oldestServer = 150000

var errOldServer = errors.New("kv: the PostgreSQL server is too old")

// connectFailure says in one line why no connection came about.
func (e *Engine) connectFailure(ctx context.Context, err error) error {
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		switch refused.Code {
		case "28P01", "28000":
			return fmt.Errorf("the server refuses this user: %s", refused.Message)
		case "3D000":
			return fmt.Errorf("%s; make it with: createdb", refused.Message)
		case "42501":
			return fmt.Errorf("the user may not use the database: %s", refused.Message)
		}
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no answer within the time for connecting", driver.ErrUnavailable)
	}
	return fmt.Errorf("%w: %s", driver.ErrUnavailable, lastCause(err))
}
