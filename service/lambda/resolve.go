package lambda

import (
	"context"
	"math/rand/v2"
	"strconv"

	"lambent/invoke"
	"lambent/kv"
)

// maxCached bounds the functions whose configuration is remembered.
const maxCached = 4096

// A snapshot is what is remembered of one function, true for one mark of it and one mark of its account. It is never
// changed: another takes its place.
type snapshot struct {
	mark, reserved string
	fn             *functionRow
	targets        map[string]*target    // by qualifier
	policies       map[string]*policyRow // by qualifier; nil where there is none
}

// A target is what a qualifier leads to.
type target struct {
	function *invoke.Function
	also     []weighted // other versions that an alias sends a share to
	executed string
}

type weighted struct {
	share float64
	*target
}

// pick chooses the version for one invocation.
func (t *target) pick() *target {
	if len(t.also) == 0 {
		return t
	}
	dice := rand.Float64()
	for _, w := range t.also {
		if dice -= w.share; dice < 0 {
			return w.target
		}
	}
	return t
}

// resolve finds what to run for r. The common case costs one read of two small rows.
func (s *Service) resolve(ctx context.Context, r reference) (*target, error) {
	snap, err := s.snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	return snap.targets[r.qualifier].pick(), nil
}

// snapshot returns what is remembered of r's function, brought up to date, with r's qualifier in it.
func (s *Service) snapshot(ctx context.Context, r reference) (snap *snapshot, err error) {
	s.mu.Lock()
	known := s.cache[r.functionID]
	s.mu.Unlock()
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		marks, err := rd.GetAll(ctx, r.markKey(), reservedKey(r.account, r.region))
		if err != nil {
			return err
		}
		if known != nil && known.mark == string(marks[0]) && known.reserved == string(marks[1]) && known.targets[r.qualifier] != nil {
			snap = known
			return nil
		}
		snap, err = s.read(ctx, rd, r, known, string(marks[0]), string(marks[1]))
		return err
	})
	if err == nil && snap != known {
		s.remember(r.functionID, snap)
	}
	return snap, err
}

// read makes a snapshot that knows r's qualifier, and what known knows if that still holds.
func (s *Service) read(ctx context.Context, rd kv.Reader, r reference, known *snapshot, mark, reserved string) (*snapshot, error) {
	snap := &snapshot{mark: mark, reserved: reserved, targets: map[string]*target{}, policies: map[string]*policyRow{}}
	fn, err := r.load(ctx, rd)
	if err != nil {
		return nil, orElse(gone(err), functionNotFound(r.qualified(r.qualifier)))
	}
	snap.fn = fn
	if known != nil && known.mark == mark && known.reserved == reserved {
		for q, t := range known.targets {
			snap.targets[q], snap.policies[q] = t, known.policies[q]
		}
	}
	unreserved := invoke.DefaultConcurrency - reservedSum([]byte(reserved))
	v, alias, err := r.find(ctx, rd)
	if err != nil {
		return nil, err
	}
	places, err := r.provisionedFor(ctx, rd, fn)
	if err != nil {
		return nil, err
	}
	t, err := s.newTarget(r.functionID, v, fn, unreserved, places)
	if err != nil {
		return nil, err
	}
	if alias != nil {
		for version, share := range alias.Weights {
			n, _ := strconv.ParseInt(version, 10, 64)
			other, err := r.loadVersion(ctx, rd, n)
			if err != nil {
				return nil, err
			}
			if other == nil {
				continue
			}
			also, err := s.newTarget(r.functionID, other, fn, unreserved, places)
			if err != nil {
				return nil, err
			}
			t.also = append(t.also, weighted{share, also})
		}
	}
	if snap.policies[r.qualifier], err = r.loadPolicy(ctx, rd, policyOf(r.qualifier)); err != nil {
		return nil, err
	}
	snap.targets[r.qualifier] = t
	return snap, nil
}

// policyOf is the qualifier under which the policy of a qualifier is kept.
func policyOf(qualifier string) string {
	if qualifier == latest {
		return ""
	}
	return qualifier
}

func (s *Service) newTarget(f functionID, v *versionRow, fn *functionRow, unreserved int, places map[int64]int) (*target, error) {
	if err := s.sealer.open(f, v); err != nil {
		return nil, err
	}
	t := &target{function: f.runnable(v, fn.Reserved, unreserved), executed: v.version()}
	t.function.Provisioned, t.function.ProvisionedAll = places[v.Number], int(fn.provisionedTotal())
	return t, nil
}

func (s *Service) remember(f functionID, snap *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cache) >= maxCached {
		clear(s.cache)
	}
	s.cache[f] = snap
}

func (s *Service) forget(f functionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.cache, f)
}
