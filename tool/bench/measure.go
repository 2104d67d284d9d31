package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench holds what has been measured so far.
type bench struct {
	options
	work   string
	binary string
	busy   string // the machine's load averages before the run

	rows []row
}

// A row is a line of the table.
type row struct{ what, figure, goal string }

func (b *bench) add(what, goal, format string, args ...any) {
	b.rows = append(b.rows, row{what, fmt.Sprintf(format, args...), goal})
	fmt.Fprintf(os.Stderr, "  %s: %s\n", what, b.rows[len(b.rows)-1].figure)
}

func (b *bench) build(ctx context.Context) error {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.binary, "./cmd/lambent")
	c.Dir = b.root
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	return c.Run()
}

// cloud is a server that the bench started.
type cloud struct {
	cmd      *exec.Cmd
	endpoint string
	data     string
	log      string
	binary   string
	waited   chan error
}

func (b *bench) start(ctx context.Context, data string) (*cloud, error) {
	c := &cloud{data: data, log: data + ".log", binary: b.binary, waited: make(chan error, 1)}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd = exec.Command(b.binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--json")
	c.cmd.Stderr = log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	var ready struct{ Endpoint string }
	err = json.NewDecoder(bufio.NewReader(out)).Decode(&ready)
	if err != nil {
		_ = c.cmd.Process.Kill()
		return nil, errors.Join(err, c.cmd.Wait())
	}
	go func() { c.waited <- c.cmd.Wait() }()
	c.endpoint = ready.Endpoint
	return c, nil
}

func (c *cloud) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return <-c.waited
}

// lambent runs a command of the binary against the cloud and returns what it printed.
func (c *cloud) lambent(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.Env = append(os.Environ(), "LAMBENT_DATA="+c.data, "AWS_PAGER=", "SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("lambent %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

func (b *bench) tools(parts ...string) string {
	dir := os.Getenv("LAMBENT_TOOLS")
	if dir == "" {
		dir = filepath.Join(b.root, ".tools")
	}
	dir, _ = filepath.Abs(dir) // fails only without a working directory
	return filepath.Join(append([]string{dir}, parts...)...)
}

// measureStart times an empty server's way to its first signed answer. The client is this process: the one
// that a first GetCallerIdentity needs, with its key read from the data folder.
func (b *bench) measureStart(ctx context.Context) error {
	var starts, freshes []time.Duration
	for i := range b.rounds {
		data := filepath.Join(b.work, fmt.Sprint("start", i))
		begin := time.Now()
		c, err := b.start(ctx, data)
		if err != nil {
			return err
		}
		if err := c.firstAnswer(ctx); err != nil {
			return errors.Join(err, c.stop())
		}
		starts = append(starts, time.Since(begin))
		if i == 0 {
			time.Sleep(3 * time.Second)
			rss, err := residentKB(c.cmd.Process.Pid)
			if err != nil {
				return err
			}
			b.add("idle memory of an empty server, with its helpers", "≤ 40 MB", "%.1f MB", float64(rss)/1024)
		}
		if err := c.stop(); err != nil {
			return err
		}
		begin = time.Now()
		if err := exec.CommandContext(ctx, b.binary, "exec", "--fresh", "--", "true").Run(); err != nil {
			return err
		}
		freshes = append(freshes, time.Since(begin))
	}
	b.add("start of an empty server to its first signed answer", "≤ 100 ms", "%s", ms(median(starts)))
	b.add("`lambent exec --fresh -- true`", "≤ 150 ms", "%s", ms(median(freshes)))
	return nil
}

// firstAnswer asks for the functions with the commands' own signing client.
func (c *cloud) firstAnswer(ctx context.Context) error {
	_, err := c.call(ctx, "sts", "Action=GetCallerIdentity&Version=2011-06-15")
	return err
}

// residentKB adds up the resident memory of a process and its children.
func residentKB(pid int) (int, error) {
	total := 0
	for _, p := range append(childrenOf(pid), pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			continue // ended meanwhile
		}
		m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func childrenOf(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				pids = append(append(pids, child), childrenOf(child)...)
			}
		}
	}
	return pids
}

// template makes functions with their code in it, each behind a route of one HTTP API and one REST API.
const template = `
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}]}
  Rest:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: bench}
  Deployment:
    Type: AWS::ApiGateway::Deployment
    DependsOn: [NodeMethod, PythonMethod]
    Properties: {RestApiId: !Ref Rest, StageName: dev}
`

const functionTemplate = `
  %[1]s:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: %[2]s
      Runtime: %[3]s
      Handler: index.handler
      MemorySize: 256
      Role: !GetAtt Role.Arn
      Code: {ZipFile: %[4]q}
`

const routeTemplate = `
  %[1]sPermission:
    Type: AWS::Lambda::Permission
    Properties: {FunctionName: !Ref %[1]s, Action: 'lambda:InvokeFunction', Principal: apigateway.amazonaws.com}
  %[1]sResource:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Rest, ParentId: !GetAtt Rest.RootResourceId, PathPart: %[2]s}
  %[1]sMethod:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Rest
      ResourceId: !Ref %[1]sResource
      HttpMethod: GET
      AuthorizationType: NONE
      Integration:
        Type: AWS_PROXY
        IntegrationHttpMethod: POST
        Uri: !Sub 'arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${%[1]s.Arn}/invocations'
`

const (
	nodeCode   = "exports.handler = async (event) => ({ statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ message: 'Hello, world!' }) });"
	pythonCode = "import json\ndef handler(event, context):\n    return {'statusCode': 200, 'headers': {'content-type': 'application/json'}, 'body': json.dumps({'message': 'Hello, world!'})}\n"
)

// deploy makes a stack of the functions and returns the URL that the routes stand under.
func (b *bench) deploy(ctx context.Context, c *cloud) (string, error) {
	text := template +
		fmt.Sprintf(functionTemplate, "Node", "node", "nodejs20.x", nodeCode) + fmt.Sprintf(routeTemplate, "Node", "node") +
		fmt.Sprintf(functionTemplate, "Python", "python", "python3.11", pythonCode) + fmt.Sprintf(routeTemplate, "Python", "python")
	if err := c.createStack(ctx, "bench", text); err != nil {
		return "", err
	}
	out, err := c.lambent(ctx, "status", "--json")
	if err != nil {
		return "", err
	}
	var status struct{ APIs []struct{ URL string } }
	if err := json.Unmarshal(out, &status); err != nil || len(status.APIs) == 0 {
		return "", fmt.Errorf("no API: %w\n%s", err, out)
	}
	return status.APIs[0].URL, nil
}

// measureCold times the first invocation of functions that never ran, one after the other with a pause in
// which a pool may prepare.
func (b *bench) measureCold(ctx context.Context) error {
	c, err := b.start(ctx, filepath.Join(b.work, "cold"))
	if err != nil {
		return err
	}
	defer c.stop()
	const functions = 12
	text := strings.Split(template, "  Rest:")[0]
	for i := range functions {
		text += fmt.Sprintf(functionTemplate, fmt.Sprint("Node", i), fmt.Sprint("node", i), "nodejs20.x", nodeCode)
		text += fmt.Sprintf(functionTemplate, fmt.Sprint("Python", i), fmt.Sprint("python", i), "python3.11", pythonCode)
	}
	if err := c.createStack(ctx, "cold", text); err != nil {
		return err
	}
	for _, language := range []string{"node", "python"} {
		var first, second []time.Duration
		for i := range functions {
			time.Sleep(400 * time.Millisecond)
			for _, times := range []*[]time.Duration{&first, &second} {
				begin := time.Now()
				if err := c.invoke(ctx, fmt.Sprint(language, i)); err != nil {
					return err
				}
				*times = append(*times, time.Since(begin))
			}
		}
		b.add("cold call, "+language+" (the second call of the same function)", "≤ 15 ms", "%s (%s)", ms(median(first[2:])), ms(median(second[2:])))
	}
	return nil
}

// measureDeploy adds up what the cloud did for one `serverless deploy` of the template project: the time of
// its requests, and of the stack operations that go on behind them.
func (b *bench) measureDeploy(ctx context.Context) error {
	c, err := b.start(ctx, filepath.Join(b.work, "deploy"))
	if err != nil {
		return err
	}
	defer c.stop()
	project := filepath.Join(b.work, "hello")
	if err := os.CopyFS(project, os.DirFS(filepath.Join(b.root, "examples", "hello"))); err != nil {
		return err
	}
	begin := time.Now()
	cmd := exec.CommandContext(ctx, b.binary, "exec", "--data", c.data, "--", b.tools("bin", "serverless3"), "deploy")
	cmd.Dir = project
	cmd.Env = append(os.Environ(), "SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	wall := time.Since(begin)
	requests, err := requestTime(c.log)
	if err != nil {
		return err
	}
	stacks, err := c.stackTime(ctx, "hello-dev")
	if err != nil {
		return err
	}
	b.add("`serverless deploy` of the template project, time in the cloud", "≤ 1 s", "%s (requests %s, stack operations %s)", ms(requests+stacks), ms(requests), ms(stacks))
	b.add("the same, as the person at the terminal sees it", "", "%.1f s", wall.Seconds())
	return nil
}

// requestTime adds up the times of the requests in a server's log.
func requestTime(file string) (total time.Duration, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Msg string
			MS  float64
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "request" {
			total += time.Duration(line.MS * float64(time.Millisecond))
		}
	}
	return total, lines.Err()
}

func (b *bench) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Figures\n\nWritten by `make bench`: one run of everything on one machine (%d cores, %s/%s). Loads are closed loops of %s with\n"+
		"keep-alive over loopback; client and server share the machine. Medians unless a line says otherwise.\n\n| what | measured | goal |\n|---|---|---|\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, b.seconds)
	for _, r := range b.rows {
		fmt.Fprintf(&s, "| %s | %s | %s |\n", r.what, r.figure, r.goal)
	}
	if f := strings.Fields(b.busy); len(f) >= 3 {
		fmt.Fprintf(&s, "\nLoad of the machine before the run, over 1, 5 and 15 minutes: %s.\n", strings.Join(f[:3], ", "))
	}
	return s.String()
}

func median(d []time.Duration) time.Duration {
	s := slices.Clone(d)
	slices.Sort(s)
	return s[len(s)/2]
}

func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64) + " ms"
}
