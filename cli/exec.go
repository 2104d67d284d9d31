package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func execCommand(d *Deps) *cobra.Command {
	var fresh bool
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG...]",
		Short: "Run any AWS tool against the cloud",
		Long: `Run any AWS tool against the cloud: endpoint, credentials, region and certificates are set for
COMMAND alone, and a proxy in this process carries tools that ignore endpoint settings.
The exit code is COMMAND's.

With --fresh an empty cloud is started in memory for this one command and removed with all it made.`,
		Example: "  lambent exec -- npx serverless@3 deploy\n  lambent exec -- aws lambda list-functions\n  lambent exec --fresh -- npm test",
		Args:    cobra.MinimumNArgs(1),
	}
	options := settingFlags(d, cmd)
	cmd.Flags().BoolVar(&fresh, "fresh", false, "start an empty cloud in memory for this command")
	cmd.Flags().SetInterspersed(false)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := options(io.Discard)
		if fresh {
			return d.execFresh(cmd.Context(), o, args)
		}
		dir, err := d.Server.Data(o)
		if err != nil {
			return err
		}
		r, err := find(dir)
		if err != nil {
			return err
		}
		return d.execAgainst(cmd.Context(), r, args)
	}
	return cmd
}

// execFresh runs args against a cloud that lives as long as they do.
func (d *Deps) execFresh(ctx context.Context, o ServeOptions, args []string) error {
	log, err := os.CreateTemp("", "lambent-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	o.LogTo = log
	o.Flags["memory"] = "true"
	for name, value := range map[string]string{"listen": "127.0.0.1:0", "drain-timeout": "1s"} {
		if !o.Flags.Changed(name) {
			o.Flags[name] = value
		}
	}
	// A signal ends the tool, which may still need the cloud to clean up; the cloud ends after it.
	cloudCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ready, ended := make(chan Running, 1), make(chan error, 1)
	go func() { ended <- d.Server.Serve(cloudCtx, o, func(r Running) { ready <- r }) }()
	select {
	case err := <-ended:
		return errors.Join(err, errors.New("the fresh cloud did not start"))
	case <-ctx.Done():
		stop()
		return errors.Join(context.Cause(ctx), <-ended)
	case r := <-ready:
		err := d.execAgainst(ctx, r, args)
		stop()
		return errors.Join(err, <-ended)
	}
}

// execAgainst runs args with the cloud r as its AWS, and passes signals on.
func (d *Deps) execAgainst(ctx context.Context, r Running, args []string) error {
	proxy, err := startProxy(strings.TrimPrefix(r.Endpoint, "http://"))
	if err != nil {
		return err
	}
	defer proxy.Close()
	path, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("%s: no such command in PATH", args[0])
	}
	c := exec.Command(path, args[1:]...)
	c.Args[0] = args[0]
	c.Stdin, c.Stdout, c.Stderr = d.In, d.Out, d.Err
	c.Env = toolEnvironment(d.Environ, r, proxy.URL())
	if err := c.Start(); err != nil {
		return err
	}
	stopForwarding := forwardSignals(ctx, c.Process)
	err = c.Wait()
	stopForwarding()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			return ExitError(128 + int(ws.Signal()))
		}
		return ExitError(exit.ExitCode())
	}
	return err
}

// forwardSignals sends on what this process is told, so that Ctrl-C ends the tool first and the cloud after.
func forwardSignals(ctx context.Context, p *os.Process) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGQUIT)
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		ended := ctx.Done()
		for {
			select {
			case s := <-signals:
				_ = p.Signal(s)
			case <-ended: // the terminal has sent SIGINT to the tool as well; give it time, then insist
				ended = nil
				select {
				case <-done:
					return
				case <-time.After(10 * time.Second):
					_ = p.Signal(syscall.SIGTERM)
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-finished
	}
}

// toolEnvironment is environ with everything that leads AWS tools to the cloud r.
func toolEnvironment(environ []string, r Running, proxyURL string) []string {
	drop := map[string]bool{}
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "https_proxy", "no_proxy"} {
		drop[name] = true
	}
	region := r.Region
	for _, kv := range environ {
		if name, v, _ := strings.Cut(kv, "="); (name == "AWS_REGION" || name == "AWS_DEFAULT_REGION") && v != "" {
			region = v
		}
	}
	set := [][2]string{
		{"AWS_ENDPOINT_URL", r.Endpoint},
		{"AWS_ACCESS_KEY_ID", r.Key.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", r.Key.SecretAccessKey},
		{"AWS_REGION", region},
		{"AWS_DEFAULT_REGION", region},
		{"AWS_EC2_METADATA_DISABLED", "true"},
		{"AWS_CA_BUNDLE", r.Bundle},
		{"REQUESTS_CA_BUNDLE", r.Bundle},
		{"SSL_CERT_FILE", r.Bundle},
		{"CURL_CA_BUNDLE", r.Bundle},
		{"NODE_EXTRA_CA_CERTS", r.CA},
		{"HTTPS_PROXY", proxyURL},
		{"NO_PROXY", "localhost,127.0.0.1,::1"},
		{"CDK_HOME", filepath.Join(os.TempDir(), "lambent-cdk-"+r.Key.AccessKeyID)}, // it caches account ids there
		{"LAMBENT_DATA", r.Data},                                                    // so that lambent's own commands find it
		{"LAMBENT_ENDPOINT", r.Endpoint},
		{"LAMBENT_DOMAIN", r.Domain},
	}
	for _, kv := range set {
		drop[kv[0]] = true
	}
	out := make([]string, 0, len(environ)+len(set))
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if !drop[name] && !strings.HasPrefix(name, "AWS_ENDPOINT_URL_") {
			out = append(out, kv)
		}
	}
	for _, kv := range set {
		out = append(out, kv[0]+"="+kv[1])
	}
	return out
}
