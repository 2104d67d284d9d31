package pgkv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"lambent/kv/driver"
)

// failure turns an error of a connection into one that kv acts upon.
func (e *Engine) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err() // the client went away, or its time was up
	}
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		return e.refusal(refused)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s does not answer", driver.ErrUnavailable, e.where)
	}
	return fmt.Errorf("%w: %s: %s", driver.ErrUnavailable, e.where, lastCause(err))
}

// refusal names what the server refused, by the codes in appendix A of the PostgreSQL manual.
func (e *Engine) refusal(err *pgconn.PgError) error {
	what := func(kind error) error { return fmt.Errorf("%w: %s: %s (%s)", kind, e.where, err.Message, err.Code) }
	switch err.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return driver.ErrConflict
	case "57014", "25P03", "25P04": // statement, idle in transaction, transaction took too long
		return fmt.Errorf("%w: %s", driver.ErrTooOld, err.Message)
	case "53100": // disk full
		return fmt.Errorf("%w: the disk of %s: %s", driver.ErrFull, e.where, err.Message)
	case "53200": // out of shared memory: the locks of what was read
		return fmt.Errorf("%w: %s: %s; raise max_pred_locks_per_transaction there", driver.ErrUnavailable, e.where, err.Message)
	case standbyReadOnly, standbySerializable:
		return fmt.Errorf("%w: %s is a standby, which takes no writes", driver.ErrUnavailable, e.where)
	case "3F000": // no schema
		return fmt.Errorf("kv: %s: %s; make the schema public, or name another with search_path in the URL", e.where, err.Message)
	case "42501": // insufficient privilege
		return fmt.Errorf("kv: %s: %s; the user must own the schema", e.where, err.Message)
	case "42P01": // the tables are gone
		return fmt.Errorf("kv: %s no longer holds the store: %s", e.where, err.Message)
	}
	switch err.Code[:2] {
	case "08", "53", "57": // connection, resources, operator
		return what(driver.ErrUnavailable)
	}
	return what(errors.New("kv: the store refused a statement"))
}

// What a standby answers to a transaction that would write, and to any serializable one.
const (
	standbyReadOnly     = "25006"
	standbySerializable = "0A000"
)

// fromStandby says whether err is the answer of a server that has become a standby: then the connection is of no use.
func fromStandby(err error) bool {
	refused := (*pgconn.PgError)(nil)
	return errors.As(err, &refused) && (refused.Code == standbyReadOnly || refused.Code == standbySerializable)
}

// outcomeUnknown says whether a commit that ended with err may have happened. An error that the server
// answers ends the transaction; one that also ends the session can come after the commit, but not before the answer to
// the first statement.
func (b *batch) outcomeUnknown(err error) bool {
	refused := (*pgconn.PgError)(nil)
	if !errors.As(err, &refused) {
		return true
	}
	ended := refused.SeverityUnlocalized == "FATAL" || refused.SeverityUnlocalized == "PANIC"
	return ended && b.done > 0
}

// lastCause is the innermost message. One of several addresses that were tried has a line for each.
func lastCause(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	lines := strings.Split(err.Error(), "\n")
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "; ")
}
