package app

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"lambent/cluster"
	"lambent/kv"
	"lambent/kv/driver"
	"lambent/sandbox"
)

// storeMetrics shows the store's counters.
type storeMetrics struct{ store *kv.Store }

// poolMetrics shows the sandbox pool's.
type poolMetrics struct {
	pool *sandbox.Pool
	most int // sandboxes
}

var (
	transactions  = describe("lambent_store_transactions_total", "Transactions asked for, by kind: update or view.", "kind")
	commits       = describe("lambent_store_commits_total", "Transactions with writes that became durable.")
	conflicts     = describe("lambent_store_conflicts_total", "Attempts of transactions refused, by cause: conflict, or too old to be checked.", "cause")
	gaveUp        = describe("lambent_store_gave_up_total", "Updates that ended with a conflict after all attempts.")
	syncSeconds   = describe("lambent_store_sync_seconds", "Time until a group of commits was on disk.")
	storeBytes    = describe("lambent_store_bytes", "Bytes of the store, by part: disk, log, memtable, cache.", "part")
	storeRunning  = describe("lambent_store_transactions_running", "Transactions in progress.")
	recentWrites  = describe("lambent_store_recent_writes", "Writes remembered for conflict checks.")
	settled       = describe("lambent_store_commits_settled_total", "Commits whose outcome had to be asked for, since the connection to the database broke.")
	connections   = describe("lambent_store_connections", "Connections to the database that are in use.")
	connBound     = describe("lambent_store_connections_bound", "How many connections to the database may be in use at once.")
	members       = describe("lambent_cluster_members", "Servers on the store that are alive, as this one sees it.")
	sandboxes     = describe("lambent_sandboxes", "Sandboxes, by state: busy, idle, frozen, reclaimed (memory put aside), stem (no function yet).", "state")
	sandboxBound  = describe("lambent_sandboxes_bound", "How many sandboxes may be alive at once.")
	sandboxMemory = describe("lambent_sandbox_memory_limit_bytes", "Sum of the memory limits of busy sandboxes.")
	acquired      = describe("lambent_sandboxes_acquired_total", "Sandboxes handed out, by origin: warm, stem, plain; full counts refusals.", "origin")
	ended         = describe("lambent_sandboxes_ended_total", "Sandboxes that ended, by cause: idle, or of themselves.", "cause")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// registerMetrics shows what the parts count at /metrics, and what the Go runtime and the kernel say of the process.
func (p *cloudParts) registerMetrics(pool *sandbox.Pool) error {
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		storeMetrics{p.store}, poolMetrics{pool, p.config.MaxSandboxes}, exporterMetrics{p.exporter}, clusterMetrics{p.cluster},
	} {
		if err := p.registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Describe implements prometheus.Collector.
func (storeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{transactions, commits, conflicts, gaveUp, syncSeconds, storeBytes, storeRunning, recentWrites, settled, connections, connBound} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m storeMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.store.Stats()
	counter := sender(ch, prometheus.CounterValue)
	gauge := sender(ch, prometheus.GaugeValue)
	counter(transactions, float64(s.Updates), "update")
	counter(transactions, float64(s.Views), "view")
	counter(commits, float64(s.Engine.Commits))
	counter(conflicts, float64(s.Engine.Conflicts), "conflict")
	counter(conflicts, float64(s.Engine.TooOld), "too old")
	counter(gaveUp, float64(s.GaveUp))
	gauge(storeBytes, float64(s.Engine.DiskBytes), "disk")
	gauge(storeBytes, float64(s.Engine.LogBytes), "log")
	gauge(storeBytes, float64(s.Engine.MemTableBytes), "memtable")
	gauge(storeBytes, float64(s.Engine.CacheBytes), "cache")
	gauge(storeBytes, float64(s.Engine.RowBytes), "rows")
	gauge(storeRunning, float64(s.Engine.Running))
	gauge(recentWrites, float64(s.Engine.RecentWrites))
	ch <- syncHistogram(s.Engine.Sync)
	counter(settled, float64(s.Engine.Settled))
	gauge(connections, float64(s.Engine.Connections))
	gauge(connBound, float64(s.Engine.ConnectionsBound))
}

// clusterMetrics shows what this server knows of the others.
type clusterMetrics struct{ cluster *cluster.Cluster }

// Describe implements prometheus.Collector.
func (clusterMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- members }

// Collect implements prometheus.Collector.
func (m clusterMetrics) Collect(ch chan<- prometheus.Metric) {
	n := 1
	if m.cluster != nil {
		n = m.cluster.Members()
	}
	sender(ch, prometheus.GaugeValue)(members, float64(n))
}

// syncHistogram gives the engine's counts as Prometheus has them: cumulative.
func syncHistogram(l driver.Latency) prometheus.Metric {
	buckets := map[float64]uint64{}
	var sum uint64
	for i, n := range l.Counts {
		sum += n
		if i < len(driver.LatencyBounds) {
			buckets[driver.LatencyBounds[i].Seconds()] = sum
		}
	}
	return prometheus.MustNewConstHistogram(syncSeconds, sum, l.Sum.Seconds(), buckets)
}

// Describe implements prometheus.Collector.
func (poolMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sandboxes, sandboxBound, sandboxMemory, acquired, ended} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m poolMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.pool.Stats()
	counter := sender(ch, prometheus.CounterValue)
	gauge := sender(ch, prometheus.GaugeValue)
	gauge(sandboxes, float64(s.Busy), "busy")
	gauge(sandboxes, float64(s.Idle-s.Frozen), "idle")
	gauge(sandboxes, float64(s.Frozen-s.Reclaimed), "frozen")
	gauge(sandboxes, float64(s.Reclaimed), "reclaimed")
	gauge(sandboxes, float64(s.Stems), "stem")
	gauge(sandboxBound, float64(m.most))
	gauge(sandboxMemory, float64(s.MemoryLimit))
	counter(acquired, float64(s.Warm), "warm")
	counter(acquired, float64(s.FromStem), "stem")
	counter(acquired, float64(s.Plain), "plain")
	counter(acquired, float64(s.Full), "full")
	counter(ended, float64(s.LetGo), "idle")
	counter(ended, float64(s.Died), "of itself")
}

func sender(ch chan<- prometheus.Metric, kind prometheus.ValueType) func(*prometheus.Desc, float64, ...string) {
	return func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
}
