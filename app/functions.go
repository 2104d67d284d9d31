package app

import (
	"os"

	"lambent/gateway/dns"
	"lambent/invoke"
	"lambent/invoke/runtimeapi"
	"lambent/runtimes"
	"lambent/runtimes/dotnet"
	"lambent/runtimes/java"
	"lambent/runtimes/nodejs"
	"lambent/runtimes/provided"
	"lambent/runtimes/python"
	"lambent/runtimes/ruby"
	"lambent/sandbox"
	"lambent/sandbox/driver"
	"lambent/sandbox/process"
)

// languages are the runtimes in the binary. With fallback "none" a function runs on the version that it names or not at all.
func languages(fallback string, shelf runtimes.Shelf) *runtimes.Set {
	home, _ := os.UserHomeDir() // without one, only the system's interpreters are looked at
	set := runtimes.NewSet(
		nodejs.New(nodejs.Search(home)).Carry(shelf),
		python.New(python.Search(home)).Carry(shelf),
		ruby.New(ruby.Search(home)),
		java.New(java.Search(home), shelf),
		dotnet.New(dotnet.Search(), shelf),
		provided.Runtime{},
	)
	if fallback == "none" {
		set.Exact()
	}
	return set
}

// innerEndpoint is where a function finds the cloud on its own loopback.
const innerEndpoint = "127.0.0.1:4566"

// openInvoker opens what runs functions: the driver, the pool over it, the log's way out.
func (p *cloudParts) openInvoker(credentials invoke.Credentials, sink invoke.LogSink) (*invoke.Invoker, error) {
	walls, err := process.Open(process.Config{Dir: p.data.sandboxes()})
	if err != nil {
		return nil, explainWrite(p.data.path, err)
	}
	p.onClose(walls.Close)
	records := invoke.NewLogs(sink, p.log)
	pool := sandbox.New(walls, sandbox.Config{
		NewSession:   invoke.Sessions(records, runtimeapi.New),
		Log:          p.log,
		MaxSandboxes: p.config.MaxSandboxes,
		MaxStems:     stemLimit(p.config.StemCells),
		FreezeAfter:  p.config.IdleFreeze,
		LetGoAfter:   p.config.IdleStop,
	})
	p.onClose(pool.Close)
	if err := p.registerMetrics(pool); err != nil {
		return nil, err
	}
	code, err := invoke.OpenCode(p.blobs, p.data.code(), 0, p.log)
	if err != nil {
		return nil, explainWrite(p.data.path, err)
	}
	p.background("function logs", records.Run)
	p.background("sandbox pool", pool.Run)
	invoker := invoke.New(invoke.Config{
		Pool: pool, Runtimes: languages(p.config.RuntimeFallback, shelf(p.data.path, p.config.Data)).Trust(p.ca.CertFile(), p.ca.BundleFile()), Code: code, Credentials: credentials, Logs: records, Log: p.log,
		Env: map[string]string{"AWS_ENDPOINT_URL": "http://" + innerEndpoint},
		Ports: []driver.Port{
			{Addr: innerEndpoint, Serve: p.inner.serve},
			{Addr: "127.0.0.1:443", Serve: p.inner.serve}, // for what knows no endpoint variable and asks for s3.amazonaws.com
			{Addr: "127.0.0.1:53", Serve: dns.Serve},
		},
	})
	p.onClose(func() error { // functions that outlived their requests end before what runs them
		invoker.Wait()
		return nil
	})
	return invoker, nil
}

// stemLimit is the pool's word for no stem cells where the setting says 0.
func stemLimit(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
