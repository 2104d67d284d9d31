package sandbox

import (
	"context"
	"fmt"
	"time"
)

const (
	bootTimeout = 30 * time.Second       // of a stem cell, until it asks for its assignment
	refillPause = 20 * time.Millisecond  // before a stem cell is started, so that it does not race the function that took the last one
	retryPause  = 250 * time.Millisecond // after a stem cell that did not boot; doubles up to retryMost
	retryMost   = 30 * time.Second
)

// A stemKind is the stem cells of one name. Guarded by Pool.mu.
type stemKind struct {
	stem     Stem
	ready    []*Sandbox
	want     int       // how many should be ready
	demanded time.Time // when one was last asked for
	filling  bool      // a goroutine is starting some
}

func (k *stemKind) drop(s *Sandbox) {
	for i, x := range k.ready {
		if x == s {
			k.ready = append(k.ready[:i:i], k.ready[i+1:]...)
			return
		}
	}
}

// Expect starts a stem cell of a kind in the background, unless there is one: a function that could use one has been
// deployed, or is about to be called.
func (p *Pool) Expect(stem *Stem) {
	if stem == nil || !p.report.LiveMount {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kindLocked(stem)
	k.want = max(k.want, min(1, p.config.MaxStems))
	p.fillLocked(k)
}

// kindLocked returns the kind and notes the demand.
func (p *Pool) kindLocked(stem *Stem) *stemKind {
	k := p.stems[stem.Name]
	if k == nil {
		k = &stemKind{stem: *stem}
		p.stems[stem.Name] = k
	}
	k.demanded = time.Now()
	p.stirLocked()
	return k
}

// takeStem makes a stem cell into plan's function, or returns nil. The caller has reserved a place, which is given back
// when a stem cell is taken: that one has its own.
func (p *Pool) takeStem(plan Plan) *Sandbox {
	if plan.Stem == nil || !p.report.LiveMount {
		return nil
	}
	for {
		p.mu.Lock()
		k := p.kindLocked(plan.Stem)
		var s *Sandbox
		if n := len(k.ready); n > 0 {
			s = k.ready[n-1]
			k.ready = k.ready[:n-1]
			p.handLocked(s, plan, FromStem)
		} else {
			k.want = min(k.want+1, p.config.MaxStems) // demand has outrun us
		}
		p.fillLocked(k)
		p.mu.Unlock()
		if s == nil {
			return nil
		}
		if err := adopt(s, plan); err != nil {
			p.config.Log.Warn("stem cell cannot become a function", "kind", plan.Stem.Name, "error", err)
			p.mu.Lock()
			p.inHands += s.memory // endLocked takes it off; the reserved place keeps its own
			p.endLocked(s)
			p.mu.Unlock()
			continue
		}
		p.mu.Lock()
		p.count--
		p.stats.FromStem++
		p.mu.Unlock()
		return s
	}
}

// adopt gives a stem cell what the function has and it lacks.
func adopt(s *Sandbox, plan Plan) error {
	for _, m := range plan.Mounts {
		if err := s.Mount(m.Source, m.Target); err != nil {
			return err
		}
	}
	if err := s.Resize(plan.Spec.Limits); err != nil {
		return err
	}
	if s.ended() {
		return fmt.Errorf("it has ended: %+v", s.Exit())
	}
	return nil
}

// fillLocked starts a goroutine that starts stem cells, unless one runs already.
func (p *Pool) fillLocked(k *stemKind) {
	if k.filling || p.closed || len(k.ready) >= k.want {
		return
	}
	k.filling = true
	p.work.Go(func() { p.fill(k) })
}

// fill starts stem cells one after the other until there are as many as wanted.
func (p *Pool) fill(k *stemKind) {
	retry := retryPause
	pause := refillPause
	for p.needs(k) {
		if !p.sleep(pause) {
			break
		}
		pause = refillPause
		if err := p.startStem(k); err != nil && p.ctx.Err() == nil {
			p.config.Log.Warn("stem cell does not start", "kind", k.stem.Name, "error", err)
			pause, retry = retry, min(2*retry, retryMost)
		} else {
			retry = retryPause
		}
	}
	p.mu.Lock()
	k.filling = false
	p.mu.Unlock()
}

// needs reports whether another stem cell is wanted and there is room; if so it takes the room.
func (p *Pool) needs(k *stemKind) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && len(k.ready) < k.want && p.count < p.config.MaxSandboxes
}

func (p *Pool) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// startStem starts one and waits until it is ready.
func (p *Pool) startStem(k *stemKind) error {
	p.mu.Lock()
	p.count++
	p.mu.Unlock()
	s, err := p.start(p.ctx, k.stem.Spec, k)
	if err != nil {
		p.mu.Lock()
		p.count--
		p.mu.Unlock()
		return err
	}
	ctx, cancel := context.WithTimeout(p.ctx, bootTimeout)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	p.work.Go(func() {
		select {
		case <-s.Done():
			cancel()
		case <-stop:
		}
	})
	err = s.Session.Ready(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && s.ended():
		return fmt.Errorf("it has ended: %+v", s.Exit())
	case err != nil:
		p.endLocked(s)
		return err
	case s.state == dead || p.closed:
		return ErrClosed
	}
	s.state, s.since = ready, time.Now()
	k.ready = append(k.ready, s)
	return nil
}
