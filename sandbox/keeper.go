package sandbox

import (
	"context"
	"errors"
	"time"

	"lambent/sandbox/driver"
)

// Run keeps the pool until ctx ends: it freezes, reclaims and lets go what is idle. It sleeps while there is nothing to
// do. Stem cells are refilled by whoever takes one.
func (p *Pool) Run(ctx context.Context) error {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.ctx.Done():
			return nil
		case <-p.wake:
		case <-timer.C:
		}
		timer.Reset(p.keep(time.Now()))
	}
}

// keep does what is due and returns how long to wait for what is next.
func (p *Pool) keep(now time.Time) time.Duration {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return never
	}
	next := never
	later := func(t time.Time) bool {
		if d := t.Sub(now); d > 0 {
			next = min(next, d)
			return true
		}
		return false
	}
	var due []*Sandbox
	for s := range p.all {
		if step, ok := p.dueLocked(s); ok && !later(step) {
			due = append(due, s)
		}
	}
	for _, k := range p.stems {
		if k.want > 0 && !later(k.demanded.Add(p.config.StemIdle)) {
			k.want = 0
			for _, s := range k.ready {
				s.state = dead // so that endLocked leaves the list alone
				p.work.Go(s.Kill)
			}
			k.ready = nil
		}
	}
	p.mu.Unlock()
	for _, s := range due {
		p.age(s, now)
	}
	if len(due) > 0 {
		return min(next, 10*time.Millisecond) // they have a next step of their own
	}
	return next
}

// dueLocked tells when the next step of an idle sandbox is due.
func (p *Pool) dueLocked(s *Sandbox) (time.Time, bool) {
	stays := len(p.idle[s.Key]) <= p.kept[s.Key]
	switch s.state {
	case idle:
		if p.report.Freeze {
			return s.since.Add(p.config.FreezeAfter), true
		}
	case frozen:
		if p.report.Reclaim && !stays {
			return s.since.Add(p.config.ReclaimAfter), true
		}
	case reclaimed:
	default:
		return time.Time{}, false
	}
	return s.since.Add(p.config.LetGoAfter), !stays
}

// age takes an idle sandbox one step further. since stays the time of its release.
func (p *Pool) age(s *Sandbox, now time.Time) {
	s.work.Lock()
	defer s.work.Unlock()
	p.mu.Lock()
	from := s.state
	stays := len(p.idle[s.Key]) <= p.kept[s.Key]
	old := now.Sub(s.since) >= p.config.LetGoAfter && !stays
	if from != idle && from != frozen && from != reclaimed {
		p.mu.Unlock()
		return // someone has taken it meanwhile
	}
	if old {
		p.stats.LetGo++
		p.endLocked(s)
		p.mu.Unlock()
		return
	}
	// From here on it is frozen, or being frozen: whoever takes it now waits for s.work and thaws it.
	to := frozen
	if from == frozen {
		to = reclaimed
	}
	s.state = to
	p.mu.Unlock()

	var err error
	if to == frozen {
		err = s.Freeze()
	} else {
		err = s.Reclaim()
	}
	if err == nil || errors.Is(err, driver.ErrUnsupported) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.state == to && !s.ended() {
		p.config.Log.Warn("idle sandbox", "id", s.ID(), "error", err)
		p.endLocked(s)
	}
}
