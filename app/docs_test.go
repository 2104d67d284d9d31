package app

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the tables in docs that are made from the binary")

// upToDate holds a file of docs against what the binary says: go test ./app -run Table -update
func upToDate(t *testing.T, file, want string) {
	t.Helper()
	file = "../docs/" + file
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run go test ./app -run Table -update", file)
	}
}

func TestSettingsTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Settings\n\nMade from the binary by `go test ./app -run Table -update`. Flags win over environment over file; all that is wrong is\nreported at once. `lambent serve --print-config` shows each value and where it came from.\n\n| flag of `serve` | environment | key of the file | default | meaning |\n|---|---|---|---|---|\n")
	for _, s := range settings {
		def := ""
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | `%s` | `%s` | %s | %s |\n", s.name, s.variable(), s.name, def, s.help)
	}
	b.WriteString("\nThe file is YAML, named by `--config` or `LAMBENT_CONFIG`:\n\n```yaml\nlisten: 127.0.0.1:4566\nidle-stop: 30m\n```\n")
	upToDate(t, "operate/settings.md", b.String())
}

// TestMetricsTable holds the list of metrics against /metrics itself.
func TestMetricsTable(t *testing.T) {
	p := openParts(t)
	p.gateway.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) // what is counted by label needs one
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	p.gateway.ServeHTTP(w, r)
	shown := parseMetrics(t, w)

	descriptions := make(chan *prometheus.Desc)
	go func() { p.registry.Describe(descriptions); close(descriptions) }()
	for d := range descriptions {
		name := fqName.FindStringSubmatch(d.String())[1]
		if strings.HasPrefix(name, "lambent_") && !slices.ContainsFunc(shown, func(m metric) bool { return m.name == name }) {
			t.Errorf("%s is registered and not shown: the table would lack it", name)
		}
	}

	var b strings.Builder
	b.WriteString("# Metrics\n\nMade from the binary by `go test ./app -run Table -update`. `GET /metrics` on the cloud's own port has them in Prometheus' text form, for\nclients on this machine. Those of the Go runtime (`go_*`) and of the process (`process_*`) are Prometheus' usual ones.\n\n| name | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range shown {
		if strings.HasPrefix(m.name, "lambent_") {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.Join(m.labels, ", "), m.help)
		}
	}
	upToDate(t, "operate/metrics.md", b.String())
}

type metric struct {
	name, kind, help string
	labels           []string
}

var (
	fqName = regexp.MustCompile(`fqName: "([^"]*)"`)
	label  = regexp.MustCompile(`[{,]([a-z_]+)="`)
)

// parseMetrics reads Prometheus' text form.
func parseMetrics(t *testing.T, w *httptest.ResponseRecorder) []metric {
	var all []metric
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		if help, ok := strings.CutPrefix(lines.Text(), "# HELP "); ok {
			name, text, _ := strings.Cut(help, " ")
			all = append(all, metric{name: name, help: text})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("status %d: %s", w.Code, lines.Text())
		}
		m := &all[len(all)-1]
		if kind, ok := strings.CutPrefix(lines.Text(), "# TYPE "+m.name+" "); ok {
			m.kind = kind
			continue
		}
		for _, l := range label.FindAllStringSubmatch(lines.Text(), -1) {
			if l[1] != "le" && !slices.Contains(m.labels, l[1]) {
				m.labels = append(m.labels, l[1])
			}
		}
	}
	return all
}

// TestDashboard holds the metrics in the dashboard's queries against those that there are.
func TestDashboard(t *testing.T) {
	dashboard, err := os.ReadFile("../docs/operate/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(dashboard) {
		t.Fatal("the dashboard is no JSON")
	}
	table, err := os.ReadFile("../docs/operate/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`lambent_[a-z_]+`).FindAllString(string(dashboard), -1)
	if len(used) < 20 {
		t.Fatalf("it shows %v only", used)
	}
	for _, name := range used {
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			name = strings.TrimSuffix(name, part)
		}
		if !strings.Contains(string(table), "`"+name+"`") {
			t.Errorf("there is no metric %s", name)
		}
	}
}
