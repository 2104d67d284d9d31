package cluster

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of wake-ups.
const (
	wakeQueue   = 1024 // topics that wait to be told
	wakeBody    = 1 << 20
	wakeTimeout = time.Second
	wakePath    = "/wake"
)

// waker tells the other members which topics were notified.
type waker struct {
	key    []byte
	topics chan string
	client *http.Client
}

func (w *waker) init(c Config) {
	w.key = c.Key
	w.topics = make(chan string, wakeQueue)
	w.client = &http.Client{Timeout: wakeTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}}
}

// Notified hands on that topics were notified here. It never waits: what is too much is dropped.
func (c *Cluster) Notified(topics []string) {
	for _, t := range topics {
		select {
		case c.wake.topics <- t:
		default:
			return
		}
	}
}

// run sends until ctx ends. While it sends, topics gather, and go together with the next.
func (w *waker) run(ctx context.Context, peers func() []string) {
	defer w.client.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-w.topics:
			w.send(ctx, w.gather(t), peers())
		}
	}
}

func (w *waker) gather(first string) []string {
	topics := []string{first}
	size := len(first)
	for size < wakeBody/2 {
		select {
		case t := <-w.topics:
			if !slices.Contains(topics, t) {
				topics, size = append(topics, t), size+len(t)
			}
			continue
		default:
		}
		break
	}
	return topics
}

// send tells each of peers. One that does not hear will look by itself.
func (w *waker) send(ctx context.Context, topics, peers []string) {
	if len(peers) == 0 {
		return
	}
	body := encodeTopics(topics)
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() { _ = w.post(ctx, p, body) })
	}
	wg.Wait()
}

func (w *waker) post(ctx context.Context, address string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+wakePath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(signatureHeader, w.sign(body))
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
	return res.Body.Close()
}

// signatureHeader carries the HMAC-SHA256 of the body in hexadecimal. Somebody who repeats a message wakes watchers for nothing.
const signatureHeader = "Lambent-Signature"

func (w *waker) sign(body []byte) string {
	m := hmac.New(sha256.New, w.key)
	m.Write([]byte("wake\n"))
	m.Write(body)
	return fmt.Sprintf("%x", m.Sum(nil))
}

// Handler takes what other members tell and calls wake with their topics.
func (c *Cluster) Handler(wake func(topics []string)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wakePath, func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, wakeBody))
		if err != nil {
			http.Error(rw, "the message is too long or broke off", http.StatusBadRequest)
			return
		}
		if !hmac.Equal([]byte(r.Header.Get(signatureHeader)), []byte(c.wake.sign(body))) {
			http.Error(rw, "the signature is not that of a server of this cloud", http.StatusForbidden)
			return
		}
		topics, err := decodeTopics(body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		wake(topics)
	})
	return mux
}

// encodeTopics writes each topic after its length.
func encodeTopics(topics []string) (b []byte) {
	for _, t := range topics {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return b
}

func decodeTopics(b []byte) (topics []string, err error) {
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errors.New("cluster: broken list of topics")
		}
		b = b[n:]
		topics, b = append(topics, string(b[:size])), b[size:]
	}
	return topics, nil
}
