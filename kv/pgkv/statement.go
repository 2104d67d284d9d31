package pgkv

import "strconv"

// A statement is one of the few that the engine runs, prepared once in each session.
type statement int

const (
	stmtBegin statement = iota
	stmtBeginView
	stmtCommit
	stmtRollback
	stmtGet
	stmtGetAll
	stmtScan
	stmtScanReverse
	stmtSet
	stmtSetAll
	stmtSetStamped
	stmtDelete
	stmtDeleteAll
	stmtDeleteRange
	stmtMark
	stmtNextID
	stmtHorizon
	stmtGetLong
	stmtScanLong
	stmtScanLongReverse
	stmtSetLongMark
	stmtSetLong
	stmtSetStampedLongMark
	stmtSetStampedLong
	stmtDeleteLong
	stmtDeleteRangeLong
	statements
)

// maxShort is the length of the longest key that lies in the table kv: an entry of an index has at most 2,704
// bytes, and one of kv_long holds a hash besides.
const maxShort = 2048

// stampedKey is the SQL of a key k with the stamp's version put at position a; $4 is the base.
const stampedKey = "overlay(k PLACING int8send($4::int8 + pg_current_xact_id()::text::int8) FROM a FOR 8)"

var long = strconv.Itoa(maxShort)

// statementTexts returns the SQL of the statements. Keys and values travel as arrays where they may be
// many, so that there are few statements and their plans are made once.
func statementTexts() [statements]string {
	prefix := "substring(k FROM 1 FOR " + long + ")"
	stamped := "(SELECT " + stampedKey + " AS k, v FROM unnest($1::bytea[], $2::bytea[], $3::int4[]) AS s(k, v, a)) AS stamped"
	scanLong := "SELECT k, v FROM kv_long WHERE p = $1 AND k >= $2 AND k < $3 ORDER BY k"
	return [statements]string{
		stmtBegin:       "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
		stmtBeginView:   "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
		stmtCommit:      "COMMIT",
		stmtRollback:    "ROLLBACK",
		stmtGet:         "SELECT v FROM kv WHERE k = $1",
		stmtGetAll:      "SELECT k, v FROM kv WHERE k = ANY($1::bytea[])",
		stmtScan:        "SELECT k, v FROM kv WHERE k >= $1 AND k < $2 ORDER BY k LIMIT $3::int8",
		stmtScanReverse: "SELECT k, v FROM kv WHERE k >= $1 AND k < $2 ORDER BY k DESC LIMIT $3::int8",
		stmtSet:         "INSERT INTO kv VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
		stmtSetAll:      "INSERT INTO kv SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
		stmtSetStamped:  "INSERT INTO kv SELECT k, v FROM " + stamped,
		stmtDelete:      "DELETE FROM kv WHERE k = $1",
		stmtDeleteAll:   "DELETE FROM kv WHERE k = ANY($1::bytea[])",
		stmtDeleteRange: "DELETE FROM kv WHERE k >= $1 AND k < $2",

		// The mark of a commit in the session's row. A closed row makes n null, which the table refuses.
		stmtMark: "INSERT INTO kv_commit AS c VALUES ($1, true, $2, pg_current_xact_id(), now())" +
			" ON CONFLICT (id) DO UPDATE SET n = CASE WHEN c.open THEN excluded.n END, xid = excluded.xid, at = excluded.at" +
			" RETURNING xid",
		stmtNextID:  "SELECT pg_snapshot_xmax(pg_current_snapshot())",
		stmtHorizon: "SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s) FROM pg_current_snapshot() AS s",

		stmtGetLong:         "SELECT v FROM kv_long WHERE p = substring($1::bytea FROM 1 FOR " + long + ") AND h = sha256($1::bytea)",
		stmtScanLong:        scanLong + " LIMIT $4::int8",
		stmtScanLongReverse: scanLong + " DESC LIMIT $4::int8",
		stmtSetLongMark: "INSERT INTO kv SELECT DISTINCT " + prefix + " || '\\x00'::bytea, ''::bytea" +
			" FROM unnest($1::bytea[]) AS s(k) ON CONFLICT (k) DO NOTHING",
		stmtSetLong: "INSERT INTO kv_long SELECT " + prefix + ", sha256(k), k, v FROM unnest($1::bytea[], $2::bytea[]) AS s(k, v)" +
			" ON CONFLICT (p, h) DO UPDATE SET v = excluded.v",
		stmtSetStampedLongMark: "INSERT INTO kv SELECT DISTINCT " + prefix + " || '\\x00'::bytea, ''::bytea FROM " + stamped +
			" ON CONFLICT (k) DO NOTHING",
		stmtSetStampedLong: "INSERT INTO kv_long SELECT " + prefix + ", sha256(k), k, v FROM " + stamped,
		stmtDeleteLong: "DELETE FROM kv_long USING unnest($1::bytea[]) AS s(k)" +
			" WHERE kv_long.p = substring(s.k FROM 1 FOR " + long + ") AND kv_long.h = sha256(s.k)",
		stmtDeleteRangeLong: "DELETE FROM kv_long WHERE p >= substring($1::bytea FROM 1 FOR " + long + ")" +
			" AND p <= substring($2::bytea FROM 1 FOR " + long + ") AND k >= $1 AND k < $2",
	}
}
