package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"lambent/blob/s3blob"
)

// Config is everything that can be chosen about a cloud. It is read once, from flags over LAMBENT_*
// environment over a YAML file, and handed on as plain values.
type Config struct {
	Data            string        // folder that holds everything
	Memory          bool          // keep all state in memory and nothing after the end
	Store           string        // URL of a PostgreSQL database for the ordered store; "" is a folder in Data
	Blobs           string        // folder, or URL of a bucket of S3, for large bytes; "" is a folder in Data
	BlobsKeyID      string        // access key for that bucket
	BlobsSecret     string        //
	PeerListen      string        // host:port for the other servers of the store; "" is none
	Listen          string        // host:port; port 0 picks a free one
	Domain          string        // what the cloud calls itself in URLs; "" is localhost:PORT
	Region          string        // region that `exec` and the printed line use
	InsecureListen  bool          // allow plain HTTP beyond loopback
	RuntimeFallback string        // "nearest" newer interpreter of the language, or "none"
	AccessKeyID     string        // root key to use instead of a made one
	SecretAccessKey string        //
	LogLevel        string        // debug, info, warn, error
	LogRequests     bool          // one line for each request
	DrainTimeout    time.Duration // how long requests in flight may take at the end
	MaxSandboxes    int           // sandboxes alive at once
	IdleFreeze      time.Duration // idle time after which a sandbox is frozen
	IdleStop        time.Duration // idle time after which a sandbox is let go
	StemCells       int           // booted interpreters kept ready for each language; 0 is none
	OTLP            string        // URL of an OpenTelemetry collector, "" for none
	OTLPHeaders     string        // name=value,name=value with every request to it
	TraceShare      float64       // share of the requests that are traced, 0 to 1
	Pprof           string        // host:port for Go's profiles, "" for none
}

// A setting is one value of a Config as people name it.
type setting struct {
	name, def, help string
	secret          bool
	field           func(*Config) any
}

// Settings lists every setting: the flag is --NAME, the environment variable LAMBENT_NAME, the YAML key NAME.
var settings = []setting{
	{"data", "", "folder that holds everything (default /var/lib/lambent for root, else ~/.local/share/lambent)", false, func(c *Config) any { return &c.Data }},
	{"memory", "false", "keep everything in memory and nothing after the end", false, func(c *Config) any { return &c.Memory }},
	{"store", "", "postgres://user:password@host/database?sslmode=verify-full to share the store with other servers (default: a folder in --data)", true, func(c *Config) any { return &c.Store }},
	{"blobs", "", "folder, or s3://bucket/prefix?endpoint=https://host&region=name, for code, objects and other large bytes, shared by the servers of one store (default: in --data)", false, func(c *Config) any { return &c.Blobs }},
	{"blobs-access-key-id", "", "access key for blobs in S3", false, func(c *Config) any { return &c.BlobsKeyID }},
	{"blobs-secret-access-key", "", "its secret", true, func(c *Config) any { return &c.BlobsSecret }},
	{"peer-listen", "", "address at which the other servers of the store tell of changes, as host:port that they can reach; without it they find out by looking", false, func(c *Config) any { return &c.PeerListen }},
	{"listen", "127.0.0.1:4566", "address to serve on; port 0 picks a free one", false, func(c *Config) any { return &c.Listen }},
	{"domain", "", "what the cloud calls itself in URLs (default localhost:PORT)", false, func(c *Config) any { return &c.Domain }},
	{"region", "us-east-1", "region for exec and for the line printed at the start; any region is served", false, func(c *Config) any { return &c.Region }},
	{"insecure-listen", "false", "allow an address beyond loopback, where clients may speak plain HTTP", false, func(c *Config) any { return &c.InsecureListen }},
	{"runtime-fallback", "nearest", "what runs a function whose language version this host lacks: nearest (newer one), or none (its calls are refused)", false, func(c *Config) any { return &c.RuntimeFallback }},
	{"root-access-key-id", "", "root access key to use instead of a made one", false, func(c *Config) any { return &c.AccessKeyID }},
	{"root-secret-access-key", "", "its secret", true, func(c *Config) any { return &c.SecretAccessKey }},
	{"log-level", "info", "debug, info, warn or error", false, func(c *Config) any { return &c.LogLevel }},
	{"log-requests", "true", "write one line for each request", false, func(c *Config) any { return &c.LogRequests }},
	{"drain-timeout", "30s", "how long requests in flight may take at the end", false, func(c *Config) any { return &c.DrainTimeout }},
	{"max-sandboxes", "64", "function sandboxes alive at once", false, func(c *Config) any { return &c.MaxSandboxes }},
	{"idle-freeze", "2s", "idle time after which a sandbox is frozen", false, func(c *Config) any { return &c.IdleFreeze }},
	{"idle-stop", "10m", "idle time after which a sandbox is let go", false, func(c *Config) any { return &c.IdleStop }},
	{"stem-cells", "1", "booted interpreters kept ready for each language that is in use", false, func(c *Config) any { return &c.StemCells }},
	{"otlp", "", "http://HOST:4318 of an OpenTelemetry collector to send traces and metrics to (default none)", false, func(c *Config) any { return &c.OTLP }},
	{"otlp-headers", "", "name=value,name=value to send with them, such as a collector's key", true, func(c *Config) any { return &c.OTLPHeaders }},
	{"trace-share", "1", "share of the requests to trace with --otlp, 0 to 1; what a caller traces already is traced on", false, func(c *Config) any { return &c.TraceShare }},
	{"pprof", "", "127.0.0.1:PORT to serve Go's profiles on (default none)", false, func(c *Config) any { return &c.Pprof }},
}

// variable is the environment variable of the setting.
func (s setting) variable() string {
	return "LAMBENT_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// A Source says where a value came from: "default", "file", "environment" or "flag".
type Source string

// Loaded is a Config with the origin of each value.
type Loaded struct {
	Config
	sources map[string]Source
}

// FlagSet is what Load needs of a command line: the flags that were really given.
type FlagSet interface {
	Changed(name string) bool
	Value(name string) string
}

// EachSetting calls fn for every setting, so that a command line can declare its flags.
func EachSetting(fn func(name, def, help string)) {
	for _, s := range settings {
		fn(s.name, s.def, s.help)
	}
}

// Load reads the settings: flags over environment over the YAML file named by file (or by LAMBENT_CONFIG).
// All that is wrong is reported at once.
func Load(flags FlagSet, environ func(string) (string, bool), file string) (*Loaded, error) {
	if file == "" {
		file, _ = environ("LAMBENT_CONFIG")
	}
	fromFile, err := readConfigFile(file)
	if err != nil {
		return nil, err
	}
	l := &Loaded{sources: map[string]Source{}}
	var problems []error
	for _, s := range settings {
		value, source := s.def, Source("default")
		if v, ok := fromFile[s.name]; ok {
			value, source = v, "file"
		}
		if v, ok := environ(s.variable()); ok {
			value, source = v, "environment"
		}
		if flags != nil && flags.Changed(s.name) {
			value, source = flags.Value(s.name), "flag"
		}
		l.sources[s.name] = source
		if err := assign(s.field(&l.Config), value); err != nil {
			problems = append(problems, fmt.Errorf("%s (from %s): %w", s.name, source, err))
			_ = assign(s.field(&l.Config), s.def) // so that it is not reported once more as out of bounds
		}
	}
	l.fillDefaults(environ)
	problems = append(problems, l.Config.problems()...)
	return l, errors.Join(problems...)
}

func readConfigFile(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	values := map[string]string{}
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("configuration file %s: %w", file, err)
	}
	var problems []error
	for name := range values {
		if !slices.ContainsFunc(settings, func(s setting) bool { return s.name == name }) {
			problems = append(problems, fmt.Errorf("configuration file %s: no setting is named %q", file, name))
		}
	}
	return values, errors.Join(problems...)
}

func assign(field any, value string) (err error) {
	switch f := field.(type) {
	case *string:
		*f = value
	case *bool:
		*f, err = strconv.ParseBool(value)
	case *int:
		*f, err = strconv.Atoi(value)
	case *float64:
		*f, err = strconv.ParseFloat(value, 64)
	case *time.Duration:
		*f, err = time.ParseDuration(value)
	}
	var n *strconv.NumError
	if errors.As(err, &n) {
		err = fmt.Errorf("%q is not valid", value)
	}
	return err
}

func (c *Config) fillDefaults(environ func(string) (string, bool)) {
	if c.Data == "" {
		c.Data = DefaultData(environ)
	}
}

// DefaultData is the data folder when none is named.
func DefaultData(environ func(string) (string, bool)) string {
	if os.Geteuid() == 0 {
		return "/var/lib/lambent"
	}
	if dir, ok := environ("XDG_DATA_HOME"); ok && dir != "" {
		return filepath.Join(dir, "lambent")
	}
	home, _ := environ("HOME")
	return filepath.Join(home, ".local", "share", "lambent")
}

func (c *Config) problems() (ps []error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		ps = append(ps, fmt.Errorf("listen: %q is not host:port", c.Listen))
	} else if ip := net.ParseIP(host); !c.InsecureListen && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		ps = append(ps, fmt.Errorf("listen: %s is reachable from outside, where passwords could travel in plain HTTP; add --insecure-listen if a TLS proxy or a private network stands in front", c.Listen))
	}
	if (c.AccessKeyID == "") != (c.SecretAccessKey == "") {
		ps = append(ps, errors.New("root-access-key-id and root-secret-access-key are given together or not at all"))
	}
	ps = append(ps, c.storeProblems()...)
	if c.RuntimeFallback != "nearest" && c.RuntimeFallback != "none" {
		ps = append(ps, fmt.Errorf("runtime-fallback: want nearest or none, got %q", c.RuntimeFallback))
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		ps = append(ps, fmt.Errorf("log-level: want debug, info, warn or error, got %q", c.LogLevel))
	}
	if c.MaxSandboxes < 1 {
		ps = append(ps, fmt.Errorf("max-sandboxes: want at least 1, got %d", c.MaxSandboxes))
	}
	if !(c.TraceShare >= 0 && c.TraceShare <= 1) {
		ps = append(ps, fmt.Errorf("trace-share: want 0 to 1, got %v", c.TraceShare))
	}
	if c.StemCells < 0 {
		ps = append(ps, fmt.Errorf("stem-cells: want 0 or more, got %d", c.StemCells))
	}
	return ps
}

// storeProblems says what is wrong with where the state goes.
func (c *Config) storeProblems() (ps []error) {
	if c.Store != "" && !strings.HasPrefix(c.Store, "postgres://") && !strings.HasPrefix(c.Store, "postgresql://") {
		ps = append(ps, errors.New("store: want the URL of a PostgreSQL database, postgres://user:password@host:5432/database"))
	}
	if strings.HasPrefix(c.Blobs, "s3:") {
		if _, err := s3blob.ParseURL(c.Blobs); err != nil {
			ps = append(ps, fmt.Errorf("blobs: %w", err))
		}
		if c.BlobsKeyID == "" || c.BlobsSecret == "" {
			ps = append(ps, errors.New("blobs: a bucket of S3 needs blobs-access-key-id and blobs-secret-access-key"))
		}
	}
	if host, _, err := net.SplitHostPort(c.PeerListen); c.PeerListen != "" && (err != nil || host == "" || net.ParseIP(host).IsUnspecified()) {
		ps = append(ps, fmt.Errorf("peer-listen: want host:port with a host that the other servers can reach, got %q", c.PeerListen))
	}
	if c.PeerListen != "" && c.Store == "" {
		ps = append(ps, errors.New("peer-listen is for servers that share a store: name it with store"))
	}
	if c.Memory && (c.Store != "" || c.Blobs != "") {
		ps = append(ps, errors.New("memory keeps nothing: it goes with neither store nor blobs"))
	}
	return ps
}

// Print writes each value and where it came from, as aligned text or as JSON.
func (l *Loaded) Print(w io.Writer, asJSON bool) error {
	type row struct {
		Value  string `json:"value"`
		Source Source `json:"source"`
	}
	rows := map[string]row{}
	for _, s := range settings {
		v := fmt.Sprint(deref(s.field(&l.Config)))
		if s.secret && v != "" {
			v = "(hidden)"
		}
		rows[s.name] = row{v, l.sources[s.name]}
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(rows)
	}
	for _, s := range settings {
		if _, err := fmt.Fprintf(w, "%-24s %-32s %s\n", s.name, rows[s.name].Value, rows[s.name].Source); err != nil {
			return err
		}
	}
	return nil
}

func deref(field any) any {
	switch f := field.(type) {
	case *string:
		return *f
	case *bool:
		return *f
	case *int:
		return *f
	case *float64:
		return *f
	case *time.Duration:
		return *f
	}
	return nil
}
