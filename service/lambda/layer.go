package lambda

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"time"

	"lambent/blob"
	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// maxLayers is how many layers a function may have.
const maxLayers = 5

// A layerID is whose layer it is, and which.
type layerID struct{ account, region, name string }

func (l layerID) arn() string {
	return "arn:aws:lambda:" + l.region + ":" + l.account + ":layer:" + l.name
}

func (l layerID) versionARN(n int64) string { return l.arn() + ":" + strconv.FormatInt(n, 10) }

func (l layerID) key() []byte { return kv.Key(l.account, l.region, "layer", l.name) }

func (l layerID) versions() kv.Range { return kv.Prefix(l.account, l.region, "layerversion", l.name) }

func (l layerID) versionKey(n int64) []byte {
	return kv.Key(l.account, l.region, "layerversion", l.name, n)
}

func (l layerID) policyKey(n int64) []byte {
	return kv.Key(l.account, l.region, "layerpolicy", l.name, n)
}

// owner names a version to the blob that it keeps. A function's name has no colon.
func (l layerID) owner(n int64) string {
	return l.account + "/" + l.region + "/layer:" + l.name + "/" + strconv.FormatInt(n, 10)
}

// layerRow stays when its versions go, so that no number is given twice.
type layerRow struct{ LastVersion int64 }

type layerVersionRow struct {
	Number        int64
	Created       time.Time
	Code          blob.Ref
	Desc          string
	License       *string  `json:",omitempty"`
	Runtimes      []string // nil when none were given, as are Architectures
	Architectures []string
}

// layerUse is a layer as a version of a function has it. The function keeps the files, even when the layer's
// version is deleted.
type layerUse struct {
	ARN  string
	Code blob.Ref
}

var layerARN = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):layer:([a-zA-Z0-9-_]+)(?::(\d+))?$`)

// parseLayer understands a layer's name or ARN.
func parseLayer(c cloud.Caller, name *string) (layerID, error) {
	l := layerID{c.Account, c.Region, cloud.Val(name)}
	if m := layerARN.FindStringSubmatch(l.name); m != nil {
		l = layerID{m[2], m[1], m[3]}
	}
	if l.region != c.Region {
		return l, invalid("Layers are not in the same region as the function. Layers are expected to be in region %s.", c.Region)
	}
	return l, nil
}

// parseLayerVersion is parseLayer with a number, which must not be one that no version has.
func parseLayerVersion(c cloud.Caller, name *string, number *int64) (layerID, int64, error) {
	l, err := parseLayer(c, name)
	n := cloud.Val(number)
	if err == nil && n < 1 {
		err = invalid("Layer Version Cannot be less than 1.")
	}
	return l, n, err
}

// parseLayerVersionARN understands the ARN of a layer's version.
func parseLayerVersionARN(arn string) (l layerID, n int64, ok bool) {
	m := layerARN.FindStringSubmatch(arn)
	if m == nil || m[4] == "" {
		return l, 0, false
	}
	n, err := strconv.ParseInt(m[4], 10, 64)
	return layerID{m[2], m[1], m[3]}, n, err == nil
}

// ofLayer tells the policy hook which layer an input is about, or which version of it.
func ofLayer[I any](name func(*I) *string, number func(*I) *int64) func(cloud.Caller, *I) []string {
	return func(c cloud.Caller, in *I) []string {
		l, err := parseLayer(c, name(in))
		switch {
		case err != nil:
			return nil
		case number == nil:
			return []string{l.arn()}
		}
		return []string{l.versionARN(cloud.Val(number(in)))}
	}
}

func (l layerID) load(ctx context.Context, rd kv.Reader, n int64) (*layerVersionRow, error) {
	var row layerVersionRow
	found, err := kv.GetRow(ctx, rd, l.versionKey(n), &row)
	if err != nil || !found {
		return nil, err
	}
	return &row, nil
}

func (s *Service) publishLayerVersion(ctx context.Context, c cloud.Caller, in *PublishLayerVersionInput) (*PublishLayerVersionOutput, error) {
	l, err := parseLayer(c, in.LayerName)
	if err != nil {
		return nil, err
	}
	if l.account != c.Account {
		return nil, layerDenied(c, "lambda:PublishLayerVersion", l.arn())
	}
	if cloud.Or(in.Content.S3ObjectStorageMode, "COPY") != "COPY" {
		return nil, cloud.NotImplemented("S3ObjectStorageMode " + *in.Content.S3ObjectStorageMode)
	}
	v := &layerVersionRow{Created: c.Now, Desc: cloud.Val(in.Description), License: in.LicenseInfo,
		Runtimes: slices.Clone(in.CompatibleRuntimes), Architectures: slices.Clone(in.CompatibleArchitectures)}
	code := source{in.Content.ZipFile, in.Content.S3Bucket, in.Content.S3Key, in.Content.S3ObjectVersion}
	if v.Code, err = s.store(ctx, c, code, "PublishLayerVersion"); err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		var layer layerRow
		if _, err := kv.GetRow(ctx, tx, l.key(), &layer); err != nil {
			return err
		}
		if err := charge(ctx, tx, l.account, l.region, v.Code.Size); err != nil {
			return err
		}
		layer.LastVersion++
		v.Number = layer.LastVersion
		s.Blobs.Link(tx, v.Code, l.owner(v.Number))
		if err := kv.PutRow(tx, l.versionKey(v.Number), v); err != nil {
			return err
		}
		return kv.PutRow(tx, l.key(), layer)
	})
	if err != nil {
		return nil, err
	}
	g := s.layerVersion(c, l, v)
	return &PublishLayerVersionOutput{Content: g.Content, LayerArn: g.LayerArn, LayerVersionArn: g.LayerVersionArn, Version: g.Version,
		Description: g.Description, CreatedDate: g.CreatedDate, LicenseInfo: g.LicenseInfo,
		CompatibleRuntimes: g.CompatibleRuntimes, CompatibleArchitectures: g.CompatibleArchitectures}, nil
}

// layerVersion is a version as the API shows it.
func (s *Service) layerVersion(c cloud.Caller, l layerID, v *layerVersionRow) *GetLayerVersionResponse {
	return &GetLayerVersionResponse{
		Content: &LayerVersionContentOutput{Location: new(s.location(c, v.Code)), CodeSha256: new(codeSHA256(v.Code)),
			CodeSize: new(v.Code.Size)},
		LayerArn: new(l.arn()), LayerVersionArn: new(l.versionARN(v.Number)), Version: new(v.Number), Description: new(v.Desc),
		CreatedDate: stamp(v.Created), LicenseInfo: v.License,
		CompatibleRuntimes: v.Runtimes, CompatibleArchitectures: v.Architectures,
	}
}

func (l layerID) listed(v *layerVersionRow) *LayerVersionsListItem {
	return &LayerVersionsListItem{LayerVersionArn: new(l.versionARN(v.Number)), Version: new(v.Number), Description: new(v.Desc),
		CreatedDate: stamp(v.Created), LicenseInfo: v.License,
		CompatibleRuntimes: v.Runtimes, CompatibleArchitectures: v.Architectures}
}

func (s *Service) getLayerVersion(ctx context.Context, c cloud.Caller, in *GetLayerVersionInput) (*GetLayerVersionResponse, error) {
	l, n, err := parseLayerVersion(c, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	v, err := s.readLayer(ctx, c, l, n)
	if err != nil {
		return nil, err
	}
	return s.layerVersion(c, l, v), nil
}

func (s *Service) getLayerVersionByARN(ctx context.Context, c cloud.Caller, in *GetLayerVersionByArnInput) (*GetLayerVersionResponse, error) {
	l, n, ok := parseLayerVersionARN(*in.Arn)
	if !ok {
		return nil, notFound("The resource you requested does not exist.")
	}
	return s.getLayerVersion(ctx, c, &GetLayerVersionInput{LayerName: new(l.arn()), VersionNumber: new(n)})
}

// readLayer reads a version that the caller may see.
func (s *Service) readLayer(ctx context.Context, c cloud.Caller, l layerID, n int64) (v *layerVersionRow, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		if err := l.visible(ctx, rd, c, n); err != nil {
			return err
		}
		v, err = l.load(ctx, rd, n)
		if err == nil && v == nil {
			err = notFound("The resource you requested does not exist.")
		}
		return err
	})
	return v, err
}

// visible holds another account against the policy of the layer's version.
func (l layerID) visible(ctx context.Context, rd kv.Reader, c cloud.Caller, n int64) error {
	if l.account == c.Account {
		return nil
	}
	p, err := l.loadPolicy(ctx, rd, n)
	if err != nil {
		return err
	}
	if p == nil || !p.allows(access{action: "lambda:GetLayerVersion", principal: principal{AWS: c.ARN}}) {
		return layerDenied(c, "lambda:GetLayerVersion", l.versionARN(n))
	}
	return nil
}

func layerDenied(c cloud.Caller, action, arn string) error {
	return cloud.Faultf("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
		c.ARN, action, arn, action).WithStatus(403)
}

func (s *Service) deleteLayerVersion(ctx context.Context, c cloud.Caller, in *DeleteLayerVersionInput) (*DeleteLayerVersionOutput, error) {
	l, n, err := parseLayerVersion(c, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	if l.account != c.Account {
		return nil, layerDenied(c, "lambda:DeleteLayerVersion", l.versionARN(n))
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		v, err := l.load(ctx, tx, n)
		if err != nil || v == nil {
			return err // deleting what is not there succeeds
		}
		if err := charge(ctx, tx, l.account, l.region, -v.Code.Size); err != nil {
			return err
		}
		s.Blobs.Unlink(tx, v.Code, l.owner(n))
		tx.Delete(l.versionKey(n))
		tx.Delete(l.policyKey(n))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteLayerVersionOutput{}, nil
}

func (s *Service) listLayerVersions(ctx context.Context, c cloud.Caller, in *ListLayerVersionsInput) (*ListLayerVersionsOutput, error) {
	l, err := parseLayer(c, in.LayerName)
	if err != nil {
		return nil, err
	}
	if l.account != c.Account {
		return nil, layerDenied(c, "lambda:ListLayerVersions", l.arn())
	}
	out := &ListLayerVersionsOutput{LayerVersions: []LayerVersionsListItem{}}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		out.LayerVersions = out.LayerVersions[:0]
		rows := l.versions()
		rows.Reverse = true
		next, err := page(ctx, rd, rows, in.Marker, in.MaxItems, 50, func(row kv.KV) error {
			var v layerVersionRow
			if err := kv.DecodeRow(row.Value, &v); err != nil {
				return err
			}
			if v.suits(in.CompatibleRuntime, in.CompatibleArchitecture) {
				out.LayerVersions = append(out.LayerVersions, *l.listed(&v))
			}
			return nil
		})
		out.NextMarker = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// suits tells whether a version is among those that a list asks for.
func (v *layerVersionRow) suits(runtime, arch *string) bool {
	return (runtime == nil || slices.Contains(v.Runtimes, *runtime)) && (arch == nil || slices.Contains(v.Architectures, *arch))
}

func (s *Service) listLayers(ctx context.Context, c cloud.Caller, in *ListLayersInput) (*ListLayersOutput, error) {
	out := &ListLayersOutput{Layers: []LayersListItem{}}
	err := s.KV.View(ctx, func(rd kv.Reader) error {
		out.Layers = out.Layers[:0]
		next, err := page(ctx, rd, kv.Prefix(c.Account, c.Region, "layer"), in.Marker, in.MaxItems, 50, func(row kv.KV) error {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			l := layerID{c.Account, c.Region, parts[3].(string)}
			v, err := l.newest(ctx, rd, in.CompatibleRuntime, in.CompatibleArchitecture)
			if err == nil && v != nil {
				out.Layers = append(out.Layers, LayersListItem{LayerName: new(l.name), LayerArn: new(l.arn()), LatestMatchingVersion: l.listed(v)})
			}
			return err
		})
		out.NextMarker = next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// newest is the last version that suits, nil when there is none.
func (l layerID) newest(ctx context.Context, rd kv.Reader, runtime, arch *string) (*layerVersionRow, error) {
	rows := l.versions()
	rows.Reverse = true
	if runtime == nil && arch == nil {
		rows.Limit = 1
	}
	found, err := rd.Scan(ctx, rows)
	if err != nil {
		return nil, err
	}
	for _, row := range found {
		var v layerVersionRow
		if err := kv.DecodeRow(row.Value, &v); err != nil {
			return nil, err
		}
		if v.suits(runtime, arch) {
			return &v, nil
		}
	}
	return nil, nil
}

// useLayers finds the layers that a function is to have, in its caller's transaction. Nil means none were given.
func useLayers(ctx context.Context, rd kv.Reader, c cloud.Caller, arns []string) ([]layerUse, error) {
	if len(arns) > maxLayers {
		return nil, invalid("Cannot reference more than %d layers.", maxLayers)
	}
	var uses []layerUse
	seen := map[layerID]string{}
	for _, arn := range arns {
		l, n, ok := parseLayerVersionARN(arn)
		if !ok {
			return nil, validation("Value '[%s]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: %s, Member must not be null]", arn, layerPattern)
		}
		if l.region != c.Region {
			return nil, invalid("Layers are not in the same region as the function. Layers are expected to be in region %s.", c.Region)
		}
		if err := l.visible(ctx, rd, c, n); err != nil {
			return nil, err
		}
		v, err := l.load(ctx, rd, n)
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, invalid("Layer version %s does not exist.", arn)
		}
		if other, twice := seen[l]; twice {
			return nil, invalid("Two different versions of the same layer are not allowed to be referenced in the same function. %s and %s are versions of the same layer.", other, arn)
		}
		seen[l] = arn
		uses = append(uses, layerUse{arn, v.Code})
	}
	return uses, nil
}

// layerPattern is the model's, as AWS words it.
const layerPattern = `(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)`

// layersOf are the packages of layers, and nil for none.
func layersOf(uses []layerUse) []blob.Ref {
	var refs []blob.Ref
	for _, u := range uses {
		refs = append(refs, u.Code)
	}
	return refs
}

func shownLayers(uses []layerUse) []Layer {
	var out []Layer
	for _, u := range uses {
		out = append(out, Layer{Arn: new(u.ARN), CodeSize: new(u.Code.Size)})
	}
	return out
}

// link keeps what a version of f consists of, unlink lets it go: both within the transaction that writes the row.
func (s *Service) link(tx *kv.Tx, f functionID, v *versionRow) {
	s.Blobs.Link(tx, v.Code, f.owner(v.Number))
	for _, u := range v.Layers {
		s.Blobs.Link(tx, u.Code, f.layersOwner(v.Number))
	}
}

func (s *Service) unlink(tx *kv.Tx, f functionID, v *versionRow) {
	s.Blobs.Unlink(tx, v.Code, f.owner(v.Number))
	for _, u := range v.Layers {
		s.Blobs.Unlink(tx, u.Code, f.layersOwner(v.Number))
	}
}

// checkSize makes sure that a package and the layers over it are not too large together.
func (s *Service) checkSize(ctx context.Context, code blob.Ref, layers []layerUse) error {
	return codeFault(s.Invoker.CheckCode(ctx, &invoke.Function{Code: code, Layers: layersOf(layers)}))
}
