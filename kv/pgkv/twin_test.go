package pgkv_test

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"lambent/kv"
	"lambent/kv/kvtest"
	"lambent/kv/pebblekv"
	"lambent/kv/pgkv"
)

// TestTwins runs the same random transactions on PostgreSQL and on Pebble: every answer must be the same, and
// what is there in the end, with stamps by their order.
func TestTwins(t *testing.T) {
	pebble, err := pebblekv.OpenMem()
	check(t, err)
	twins := []*kv.Store{kv.New(pebble), kv.New(open(t, kvtest.Schema(t, database(t)), pgkv.Options{}))}
	for _, s := range twins {
		defer s.Close()
	}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		script := rapid.SliceOfN(rapid.Custom(drawTransaction), 1, 8).Draw(rt, "transactions")
		var answers [2]string
		for i, s := range twins {
			answers[i] = play(t, s.In(fmt.Sprint(run)), script)
		}
		if answers[0] != answers[1] {
			rt.Fatalf("Pebble says\n%s\nPostgreSQL says\n%s", answers[0], answers[1])
		}
	})
}

// twinStep is one thing that a transaction does.
type twinStep struct {
	Kind     string
	Key, End []byte
	Limit    int
	Reverse  bool
}

type twinTransaction struct {
	Steps []twinStep
	Fails bool
}

var twinKeys = rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 3)

func drawTransaction(rt *rapid.T) (tx twinTransaction) {
	for range rapid.IntRange(1, 8).Draw(rt, "steps") {
		tx.Steps = append(tx.Steps, twinStep{
			Kind:    rapid.SampledFrom([]string{"set", "set", "delete", "deleteRange", "stamped", "get", "getAll", "scan", "snapshot"}).Draw(rt, "kind"),
			Key:     twinKeys.Draw(rt, "key"),
			End:     twinKeys.Draw(rt, "end"),
			Limit:   rapid.IntRange(0, 3).Draw(rt, "limit"),
			Reverse: rapid.Bool().Draw(rt, "reverse"),
		})
	}
	tx.Fails = rapid.IntRange(0, 4).Draw(rt, "fails") == 0
	return tx
}

// play runs the transactions and returns all that they were told.
func play(t *testing.T, s *kv.Store, script []twinTransaction) string {
	t.Helper()
	var told bytes.Buffer
	stamps := map[string]int{}
	for n, step := range script {
		var heard bytes.Buffer
		stamp, err := s.UpdateStamp(t.Context(), func(tx *kv.Tx) error {
			heard.Reset()
			for i, st := range step.Steps {
				if err := st.do(t, tx, &heard, fmt.Sprint(n, ".", i), stamps); err != nil {
					return err
				}
			}
			if step.Fails {
				return fmt.Errorf("on purpose")
			}
			return nil
		})
		if err == nil {
			stamps[string(stamp[:10])] = n
		}
		fmt.Fprintf(&told, "%d: %v\n%s", n, err, &heard)
	}
	check(t, s.View(t.Context(), func(r kv.Reader) error {
		rows, err := r.Scan(t.Context(), kv.Range{})
		told.WriteString(rowsText(rows, stamps))
		return err
	}))
	return told.String()
}

func (st twinStep) do(t *testing.T, tx *kv.Tx, heard *bytes.Buffer, value string, stamps map[string]int) error {
	end := st.End
	if len(end) == 0 {
		end = nil
	}
	switch st.Kind {
	case "set":
		tx.Set(st.Key, []byte(value))
	case "delete":
		tx.Delete(st.Key)
	case "deleteRange":
		tx.DeleteRange(st.Key, end)
	case "stamped":
		tx.SetStamped(append([]byte("s"), st.Key...), st.End, []byte(value))
	case "get":
		v, err := tx.Get(t.Context(), st.Key)
		fmt.Fprintf(heard, "  get %x: %v %s\n", st.Key, v == nil, v)
		return err
	case "getAll":
		v, err := tx.GetAll(t.Context(), st.Key, st.End, st.Key)
		fmt.Fprintf(heard, "  getAll: %q\n", v)
		return err
	default:
		var r kv.Reader = tx
		if st.Kind == "snapshot" {
			r = tx.Snapshot()
		}
		rows, err := r.Scan(t.Context(), kv.Range{Begin: st.Key, End: end, Limit: st.Limit, Reverse: st.Reverse})
		fmt.Fprintf(heard, "  %s: %s\n", st.Kind, rowsText(rows, stamps))
		return err
	}
	return nil
}

// rowsText writes rows with stamps replaced by the number of the transaction that made them.
func rowsText(rows []kv.KV, stamps map[string]int) (out string) {
	for _, row := range rows {
		k := row.Key
		for stamp, n := range stamps {
			k = bytes.Replace(k, []byte(stamp), fmt.Appendf(nil, "<%d>", n), 1)
		}
		out += fmt.Sprintf("%q=%s ", k, row.Value)
	}
	return out
}
