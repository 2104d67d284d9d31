package lambda

import (
	"context"
	"strconv"
	"time"

	"lambent/blob"
	"lambent/invoke"
	"lambent/kv"
)

func (f functionID) key() []byte { return kv.Key(f.account, f.region, "function", f.name) }

func (f functionID) versionKey(n int64) []byte {
	return kv.Key(f.account, f.region, "version", f.name, n)
}

func (f functionID) aliasKey(alias string) []byte {
	return kv.Key(f.account, f.region, "alias", f.name, alias)
}

func (f functionID) policyKey(qualifier string) []byte {
	return kv.Key(f.account, f.region, "policy", f.name, qualifier)
}

func (f functionID) eventConfigKey(qualifier string) []byte {
	return kv.Key(f.account, f.region, "eventconfig", f.name, qualifier)
}

func (f functionID) urlKey(qualifier string) []byte {
	return kv.Key(f.account, f.region, "url", f.name, qualifier)
}

func (f functionID) markKey() []byte { return kv.Key(f.account, f.region, "mark", f.name) }

func reservedKey(account, region string) []byte { return kv.Key(account, region, "reserved") }

func urlIDKey(id string) []byte { return kv.Key("url", id) }

// rowsOf are the ranges of all that belongs to a function beside its own row.
func (f functionID) rowsOf() []kv.Range {
	var all []kv.Range
	for _, noun := range []string{"version", "alias", "policy", "eventconfig", "url"} {
		all = append(all, kv.Prefix(f.account, f.region, noun, f.name))
	}
	return all
}

// owner names a version to the blob that it keeps.
func (f functionID) owner(n int64) string {
	return f.account + "/" + f.region + "/" + f.name + "/" + strconv.FormatInt(n, 10)
}

// layersOwner names a version to the blobs of its layers.
func (f functionID) layersOwner(n int64) string { return f.owner(n) + "/layers" }

// functionRow is what all versions of a function share.
type functionRow struct {
	Created       time.Time
	LastVersion   int64                // highest number given so far
	Published     string               // build of $LATEST that LastVersion was made of
	Reserved      *int32               `json:",omitempty"`
	Provisioned   map[string]provision `json:",omitempty"` // by version or alias
	Tags          map[string]string    `json:",omitempty"`
	CodeSigning   string               `json:",omitempty"` // ARN of its configuration
	RecursiveLoop string               `json:",omitempty"`
	RuntimeUpdate map[string]string    `json:",omitempty"` // qualifier → UpdateRuntimeOn
}

// versionRow is one version of a function: its code and configuration.
type versionRow struct {
	Number   int64 // 0 is $LATEST
	Revision string
	Build    string // moves with code and configuration, not with permissions
	Modified time.Time

	Code      blob.Ref
	Layers    []layerUse `json:",omitempty"`
	Runtime   string
	Handler   string
	Role      string
	Desc      string
	Timeout   int32
	Memory    int32
	Tmp       int32
	Arch      string
	Tracing   string
	Sealed    []byte            `json:",omitempty"`    // environment variables; see sealer
	Plain     map[string]string `json:"Env,omitempty"` // the same, of rows older than that
	Env       map[string]string `json:"-"`             // the same, once opened; nil when none were given
	VPC       *VpcConfig        `json:",omitempty"`
	LogFormat string
	LogGroup  string // "" is the function's own
	AppLevel  string `json:",omitempty"`
	SysLevel  string `json:",omitempty"`
}

func (v *versionRow) version() string {
	if v.Number == 0 {
		return latest
	}
	return strconv.FormatInt(v.Number, 10)
}

// touch gives the row a new revision.
func (v *versionRow) touch() { v.Revision = invoke.NewRequestID() }

// changed marks that what runs is not what ran before.
func (v *versionRow) changed(now time.Time) {
	v.touch()
	v.Build, v.Modified = v.Revision, now
}

type aliasRow struct {
	Name     string
	Version  string
	Desc     string
	Weights  map[string]float64 `json:",omitempty"`
	Revision string
}

// load reads the function's own row.
func (f functionID) load(ctx context.Context, r kv.Reader) (*functionRow, error) {
	var row functionRow
	found, err := kv.GetRow(ctx, r, f.key(), &row)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, functionNotFound(f.arn())
	}
	return &row, nil
}

func (f functionID) loadVersion(ctx context.Context, r kv.Reader, n int64) (*versionRow, error) {
	var row versionRow
	found, err := kv.GetRow(ctx, r, f.versionKey(n), &row)
	if err != nil || !found {
		return nil, err
	}
	return &row, nil
}

func (f functionID) loadAlias(ctx context.Context, r kv.Reader, name string) (*aliasRow, error) {
	var row aliasRow
	found, err := kv.GetRow(ctx, r, f.aliasKey(name), &row)
	if err != nil || !found {
		return nil, err
	}
	return &row, nil
}

// find reads the version that a reference means. alias is set when it means it through one.
func (r reference) find(ctx context.Context, rd kv.Reader) (v *versionRow, alias *aliasRow, err error) {
	n := int64(0)
	switch {
	case r.qualifier == "" || r.qualifier == latest:
	case isNumber(r.qualifier):
		if n, err = strconv.ParseInt(r.qualifier, 10, 64); err != nil {
			return nil, nil, functionNotFound(r.qualified(r.qualifier))
		}
	default:
		if alias, err = r.loadAlias(ctx, rd, r.qualifier); err != nil {
			return nil, nil, err
		}
		if alias == nil {
			return nil, nil, functionNotFound(r.qualified(r.qualifier))
		}
		if alias.Version != latest {
			n, _ = strconv.ParseInt(alias.Version, 10, 64)
		}
	}
	if v, err = r.loadVersion(ctx, rd, n); err != nil {
		return nil, nil, err
	}
	if v == nil {
		return nil, nil, functionNotFound(r.qualified(r.qualifier))
	}
	return v, alias, nil
}

// save writes a version and tells the caches.
func (f functionID) save(tx *kv.Tx, v *versionRow) error {
	f.mark(tx)
	return kv.PutRow(tx, f.versionKey(v.Number), v)
}

// mark tells the caches that something of the function has changed.
func (f functionID) mark(tx *kv.Tx) { tx.Set(f.markKey(), []byte(invoke.NewRequestID())) }
