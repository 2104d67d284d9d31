package lambda

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// provision is what a version, or the one that an alias leads to, has of provisioned concurrency.
type provision struct {
	Requested int32
	Modified  time.Time
}

// provisionedKey lists the functions that have some, for who starts their sandboxes.
func (f functionID) provisionedKey() []byte {
	return kv.Key("provisioned", f.account, f.region, f.name)
}

// provisionedTotal is what all versions of the function have together.
func (fn *functionRow) provisionedTotal() (n int32) {
	for _, p := range fn.Provisioned {
		n += p.Requested
	}
	return n
}

// share is what the function takes of its account's concurrency, nil for nothing.
func (fn *functionRow) share() *int32 {
	if total := fn.provisionedTotal(); fn.Reserved == nil && total > 0 {
		return &total
	}
	return fn.Reserved
}

// parseProvisioned is parseOwn for what versions and aliases can have, and the function itself not.
func parseProvisioned(c cloud.Caller, name, qualifier *string) (reference, error) {
	r, err := parseOwn(c, name, qualifier)
	if err == nil && (r.qualifier == "" || r.qualifier == latest) {
		err = invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
	}
	return r, err
}

// findProvisioned is find in the words that these operations have.
func (r reference) findProvisioned(ctx context.Context, rd kv.Reader) (*functionRow, *versionRow, error) {
	fn, err := r.load(ctx, rd)
	if err != nil {
		return nil, nil, orElse(gone(err), functionNotFound(r.qualified(r.qualifier)))
	}
	v, _, err := r.find(ctx, rd)
	if cloud.FaultCode(err) == "ResourceNotFoundException" && isAlias(r.qualifier) {
		err = aliasNotFound(r.functionID, r.qualifier)
	}
	return fn, v, err
}

func (s *Service) putProvisioned(ctx context.Context, c cloud.Caller, in *PutProvisionedConcurrencyConfigInput) (*PutProvisionedConcurrencyConfigOutput, error) {
	r, err := parseProvisioned(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	want := *in.ProvisionedConcurrentExecutions
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		fn, v, err := r.findProvisioned(ctx, tx)
		if err != nil {
			return err
		}
		if err := r.otherProvisioned(ctx, tx, fn, v); err != nil {
			return err
		}
		return s.changeProvisioned(ctx, tx, r.functionID, fn, func(all map[string]provision) {
			all[r.qualifier] = provision{want, c.Now}
		})
	})
	if err != nil {
		return nil, err
	}
	return &PutProvisionedConcurrencyConfigOutput{RequestedProvisionedConcurrentExecutions: new(want), AllocatedProvisionedConcurrentExecutions: new(int32(0)),
		AvailableProvisionedConcurrentExecutions: new(int32(0)), Status: new("IN_PROGRESS"), LastModified: stamp(c.Now)}, nil
}

// otherProvisioned refuses to give a version some in two ways.
func (r reference) otherProvisioned(ctx context.Context, tx *kv.Tx, fn *functionRow, v *versionRow) error {
	if _, has := fn.Provisioned[v.version()]; has && isAlias(r.qualifier) {
		return conflict("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")
	}
	if isAlias(r.qualifier) {
		return nil
	}
	for alias := range fn.Provisioned {
		if !isAlias(alias) {
			continue
		}
		a, err := r.loadAlias(ctx, tx, alias)
		if err != nil {
			return err
		}
		if a != nil && a.Version == r.qualifier {
			return conflict("Version is pointed by a Provisioned Concurrency alias")
		}
	}
	return nil
}

// changeProvisioned changes what a function has, within its bounds, and writes its row.
func (s *Service) changeProvisioned(ctx context.Context, tx *kv.Tx, f functionID, fn *functionRow, change func(map[string]provision)) error {
	before, had := fn.share(), fn.provisionedTotal()
	all := maps.Clone(fn.Provisioned)
	if all == nil {
		all = map[string]provision{}
	}
	change(all)
	fn.Provisioned = all
	total := fn.provisionedTotal()
	if fn.Reserved != nil && total > *fn.Reserved && total > had {
		return invalid("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
	}
	if fn.Reserved == nil {
		if err := changeShare(ctx, tx, f, before, fn.share(), "Specified ConcurrentExecutions for function"); err != nil {
			return err
		}
	}
	if total > 0 {
		tx.Set(f.provisionedKey(), []byte{1})
	} else {
		tx.Delete(f.provisionedKey())
	}
	f.mark(tx)
	tx.Notify(provisionedTopic)
	return kv.PutRow(tx, f.key(), fn)
}

// dropProvisioned takes it from a qualifier that goes.
func (s *Service) dropProvisioned(ctx context.Context, tx *kv.Tx, r reference) error {
	fn, err := r.load(ctx, tx)
	if err != nil {
		return err
	}
	if _, has := fn.Provisioned[r.qualifier]; !has {
		return nil
	}
	return s.changeProvisioned(ctx, tx, r.functionID, fn, func(all map[string]provision) { delete(all, r.qualifier) })
}

func noProvisioned() error {
	f := cloud.Faultf("ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")
	f.Detail = &ProvisionedConcurrencyConfigNotFoundException{Type: new("User"), Message: new(f.Message)}
	return f
}

func (s *Service) getProvisioned(ctx context.Context, c cloud.Caller, in *GetProvisionedConcurrencyConfigInput) (out *GetProvisionedConcurrencyConfigOutput, err error) {
	r, err := parseProvisioned(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		fn, v, err := r.findProvisioned(ctx, rd)
		if err != nil {
			return err
		}
		p, has := fn.Provisioned[r.qualifier]
		if !has {
			return noProvisioned()
		}
		l := s.shownProvision(r, v, p)
		out = &GetProvisionedConcurrencyConfigOutput{RequestedProvisionedConcurrentExecutions: l.RequestedProvisionedConcurrentExecutions,
			AllocatedProvisionedConcurrentExecutions: l.AllocatedProvisionedConcurrentExecutions,
			AvailableProvisionedConcurrentExecutions: l.AvailableProvisionedConcurrentExecutions,
			Status:                                   l.Status, StatusReason: l.StatusReason, LastModified: l.LastModified}
		return nil
	})
	return out, err
}

// shownProvision tells what is there of what was asked for.
func (s *Service) shownProvision(r reference, v *versionRow, p provision) ProvisionedConcurrencyConfigListItem {
	fn := r.runnable(v, nil, 0)
	there := min(int32(s.Invoker.Provisioned(fn)), p.Requested)
	out := ProvisionedConcurrencyConfigListItem{FunctionArn: new(r.qualified(r.qualifier)), RequestedProvisionedConcurrentExecutions: new(p.Requested),
		AllocatedProvisionedConcurrentExecutions: new(there), AvailableProvisionedConcurrentExecutions: new(there),
		Status: new("IN_PROGRESS"), LastModified: stamp(p.Modified)}
	switch err := s.provisioner.failure(provisionID{r.functionID, v.Build}); {
	case there == p.Requested:
		out.Status = new("READY")
	case errors.Is(err, invoke.ErrInit):
		out.Status, out.StatusReason = new("FAILED"), new("FUNCTION_ERROR_INIT_FAILURE")
	}
	return out
}

func (s *Service) deleteProvisioned(ctx context.Context, c cloud.Caller, in *DeleteProvisionedConcurrencyConfigInput) (*DeleteProvisionedConcurrencyConfigOutput, error) {
	r, err := parseProvisioned(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, _, err := r.findProvisioned(ctx, tx); err != nil {
			return err
		}
		return s.dropProvisioned(ctx, tx, r)
	})
	if err != nil {
		return nil, err
	}
	return &DeleteProvisionedConcurrencyConfigOutput{}, nil
}

func (s *Service) listProvisioned(ctx context.Context, c cloud.Caller, in *ListProvisionedConcurrencyConfigsInput) (*ListProvisionedConcurrencyConfigsOutput, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &ListProvisionedConcurrencyConfigsOutput{ProvisionedConcurrencyConfigs: []ProvisionedConcurrencyConfigListItem{}}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		out.ProvisionedConcurrencyConfigs, out.NextMarker = out.ProvisionedConcurrencyConfigs[:0], nil
		fn, err := r.load(ctx, rd)
		if err != nil {
			return err
		}
		most := int(cloud.Or(in.MaxItems, 50))
		for _, q := range slices.Sorted(maps.Keys(fn.Provisioned)) {
			if q <= cloud.Val(in.Marker) {
				continue
			}
			if len(out.ProvisionedConcurrencyConfigs) == most {
				out.NextMarker = new(lastQualifier(out.ProvisionedConcurrencyConfigs))
				return nil
			}
			at := reference{r.functionID, q}
			v, _, err := at.find(ctx, rd)
			if err != nil {
				return err
			}
			out.ProvisionedConcurrencyConfigs = append(out.ProvisionedConcurrencyConfigs, s.shownProvision(at, v, fn.Provisioned[q]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func lastQualifier(list []ProvisionedConcurrencyConfigListItem) string {
	a, _ := cloud.ParseARN(*list[len(list)-1].FunctionArn)
	i := len(a.Resource)
	for i > 0 && a.Resource[i-1] != ':' {
		i--
	}
	return a.Resource[i:]
}

// provisionedFor is how many places of its own each version has, by its number.
func (f functionID) provisionedFor(ctx context.Context, rd kv.Reader, fn *functionRow) (map[int64]int, error) {
	if len(fn.Provisioned) == 0 {
		return nil, nil
	}
	places := map[int64]int{}
	for q, p := range fn.Provisioned {
		version := q
		if isAlias(q) {
			a, err := f.loadAlias(ctx, rd, q)
			if err != nil {
				return nil, err
			}
			if a == nil {
				continue
			}
			version = a.Version
		}
		if n, err := strconv.ParseInt(version, 10, 64); err == nil {
			places[n] += int(p.Requested)
		}
	}
	return places, nil
}

const (
	provisionedTopic = "provisioned"
	provisionEvery   = 5 * time.Second // how often what has ended is made up for
)

// provisionID is one build of a version.
type provisionID struct {
	functionID
	build string
}

// A provisioner keeps the sandboxes that are provisioned. In a cluster every server keeps as many as were asked for: any
// of them may get all the calls.
type provisioner struct {
	working sync.WaitGroup

	mu     sync.Mutex // guards what follows
	kept   map[provisionID]*invoke.Function
	busy   map[provisionID]bool
	failed map[provisionID]error // why it did not start, the last time
}

func newProvisioner() *provisioner {
	return &provisioner{kept: map[provisionID]*invoke.Function{}, busy: map[provisionID]bool{}, failed: map[provisionID]error{}}
}

func (p *provisioner) failure(id provisionID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed[id]
}

// runProvisioner keeps what is provisioned until ctx ends.
func (s *Service) runProvisioner(ctx context.Context) {
	changed, stop := s.KV.Watch(provisionedTopic)
	defer stop()
	defer s.provisioner.working.Wait()
	for {
		wanted, err := s.provisionedFunctions(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("provisioned concurrency cannot be read", "error", err)
		}
		if err == nil {
			s.provisioner.reconcile(ctx, s, wanted)
		}
		timer := time.NewTimer(provisionEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// provisionedFunctions reads which versions are to have sandboxes.
func (s *Service) provisionedFunctions(ctx context.Context) (wanted map[provisionID]*invoke.Function, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		wanted = map[provisionID]*invoke.Function{}
		rows, err := rd.Scan(ctx, kv.Prefix("provisioned"))
		if err != nil {
			return err
		}
		for _, row := range rows {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			f := functionID{parts[1].(string), parts[2].(string), parts[3].(string)}
			fn, err := f.load(ctx, rd)
			if err != nil {
				return err
			}
			places, err := f.provisionedFor(ctx, rd, fn)
			if err != nil {
				return err
			}
			for number, n := range places {
				v, err := f.loadVersion(ctx, rd, number)
				if err != nil {
					return err
				}
				if v != nil {
					if err := s.sealer.open(f, v); err != nil {
						return err
					}
					it := f.runnable(v, nil, 0)
					it.Provisioned = n
					wanted[provisionID{f, v.Build}] = it
				}
			}
		}
		return nil
	})
	return wanted, err
}

// reconcile starts what is missing, each version on its own, and lets go what nobody wants any more.
func (p *provisioner) reconcile(ctx context.Context, s *Service, wanted map[provisionID]*invoke.Function) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, fn := range p.kept {
		if wanted[id] == nil {
			delete(p.kept, id)
			delete(p.failed, id)
			p.working.Go(func() { _ = s.Invoker.Provision(ctx, fn, 0) }) // lets go; nothing is started
		}
	}
	for id, fn := range wanted {
		if p.busy[id] {
			continue
		}
		p.kept[id], p.busy[id] = fn, true
		p.working.Go(func() {
			err := s.Invoker.Provision(ctx, fn, fn.Provisioned)
			if err != nil && ctx.Err() == nil {
				s.Log.Warn("provisioned concurrency", "function", fn.ARN, "version", fn.Version, "error", err)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.busy, id)
			if p.kept[id] != nil {
				p.failed[id] = err
			}
		})
	}
}
