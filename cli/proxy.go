package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// proxy is the HTTPS_PROXY that exec gives to a tool. Connections to AWS's names end at the cloud, whose
// listener speaks TLS with certificates of its own CA; all others are passed through untouched.
type proxy struct {
	listener net.Listener
	cloud    string // host:port
	stop     context.CancelFunc
	conns    sync.WaitGroup
}

// How long the proxy waits for a tool to say where it wants to go, and for a connection to be made.
const proxyTimeout = 30 * time.Second

func startProxy(cloud string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &proxy{listener: l, cloud: cloud, stop: stop}
	p.conns.Go(func() { p.accept(ctx) })
	return p, nil
}

// URL is what a tool takes as its proxy.
func (p *proxy) URL() string { return "http://" + p.listener.Addr().String() }

// Close ends all connections and waits for them.
func (p *proxy) Close() {
	p.stop()
	p.listener.Close()
	p.conns.Wait()
}

func (p *proxy) accept(ctx context.Context) {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() { p.serve(ctx, c) })
	}
}

// serve answers one CONNECT and then carries bytes both ways.
func (p *proxy) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	unblock := context.AfterFunc(ctx, func() { client.Close() })
	defer unblock()
	_ = client.SetReadDeadline(time.Now().Add(proxyTimeout))
	in := bufio.NewReader(client)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if req.Method != http.MethodConnect {
		io.WriteString(client, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	target := req.Host
	if isAWS(target) {
		target = p.cloud
	}
	server, err := (&net.Dialer{Timeout: proxyTimeout}).DialContext(ctx, "tcp", target)
	if err != nil {
		io.WriteString(client, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	defer server.Close()
	unblockServer := context.AfterFunc(ctx, func() { server.Close() })
	defer unblockServer()
	_ = client.SetReadDeadline(time.Time{})
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection Established\r\n\r\n"); err != nil {
		return
	}
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(server, in)
		closeWrite(server)
	})
	io.Copy(client, server)
	closeWrite(client)
	up.Wait()
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.CloseWrite()
	}
}

// isAWS reports whether hostport is one of AWS's own names on the HTTPS port.
func isAWS(hostport string) bool {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || port != "443" {
		return false
	}
	host = "." + strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".api.aws")
}
