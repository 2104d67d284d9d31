package provided_test

import (
	"os"
	"strings"
	"testing"

	"lambent/runtimes"
	"lambent/runtimes/provided"
	"lambent/runtimes/runtimetest"
	"lambent/sandbox/process"
)

// loop is a custom runtime in the language that every Debian has.
const loop = `#!/usr/bin/perl
use IO::Socket::INET;
my $s = IO::Socket::INET->new(PeerAddr => $ENV{AWS_LAMBDA_RUNTIME_API}) or die;
sub reply { my $n = 0; my $id = ""; while (<$s>) { $n = $1 if /^content-length: (\d+)/i; $id = $1 if /^lambda-runtime-aws-request-id: (\S+)/i; last if /^\r$/ } read($s, my $b, $n); return ($id, $b) }
while (1) {
  print $s "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
  my ($id, $event) = reply();
  my $body = qq({"event":$event,"handler":"$ENV{_HANDLER}"});
  print $s "POST /2018-06-01/runtime/invocation/$id/response HTTP/1.1\r\nHost: x\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
  reply();
}
`

func TestOwnRuntime(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for sandboxes")
	}
	if _, err := os.Stat("/usr/bin/perl"); err != nil {
		t.Skip("no perl on this host")
	}
	d, err := process.Open(process.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	code := runtimetest.Code(t, map[string]string{"bootstrap": loop})
	empty := runtimetest.Code(t, nil)
	for name, fn := range map[string]runtimes.Function{
		"in the code":  {CodeDir: code},
		"in the layer": {CodeDir: empty, OptDir: code},
	} {
		fn.Runtime, fn.Handler = "provided.al2023", "any.thing"
		f := runtimetest.Start(t, d, provided.Runtime{}, fn, false)
		for range 2 {
			if got := f.Invoke(t, "r1", `[1]`); got.Body != `{"event":[1],"handler":"any.thing"}` {
				t.Errorf("%s: %+v", name, got)
			}
		}
		f.Sandbox.Kill()
	}
	if _, err := (provided.Runtime{}).Plan(runtimes.Function{Runtime: "provided.al2", CodeDir: empty}); err == nil || !strings.Contains(err.Error(), "Runtime.InvalidEntrypoint") {
		t.Errorf("without a program: %v", err)
	}
}
