package lambda

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// codeSigningRow says whose signatures functions ask for. Nothing here signs code, so no package ever bears one: a
// function that enforces its configuration takes no new code at all.
type codeSigningRow struct {
	ID         string
	Desc       string
	Publishers []string
	Policy     string // "Warn" or "Enforce"
	Modified   time.Time
	Tags       map[string]string `json:",omitempty"`
}

func codeSigningKey(account, region, id string) []byte {
	return kv.Key(account, region, "codesigning", id)
}

// codeSigningUse is the key that says that a function has a configuration.
func codeSigningUse(f functionID, id string) []byte {
	return kv.Key(f.account, f.region, "codesigninguse", id, f.name)
}

const codeSigningPrefix = "code-signing-config:"

func (row *codeSigningRow) shown(c cloud.Caller) *CodeSigningConfig {
	return &CodeSigningConfig{CodeSigningConfigId: new(row.ID), CodeSigningConfigArn: new(codeSigningARN(c, row.ID)),
		Description: new(row.Desc), AllowedPublishers: &AllowedPublishers{SigningProfileVersionArns: row.Publishers},
		CodeSigningPolicies: &CodeSigningPolicies{UntrustedArtifactOnDeployment: new(row.Policy)}, LastModified: stamp(row.Modified)}
}

func codeSigningARN(c cloud.Caller, id string) string {
	return c.ARNOf("lambda", codeSigningPrefix+id)
}

// codeSigningID is the id in an ARN of the caller's account and region, "" for any other.
func codeSigningID(c cloud.Caller, arn string) string {
	id, ok := strings.CutPrefix(arn, codeSigningARN(c, ""))
	if !ok {
		return ""
	}
	return id
}

func newCodeSigningID() string {
	const alphabet = "0123456789abcdefghijklmnopqrstuv"
	b := make([]byte, 17)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return "csc-" + string(b)
}

func (s *Service) createCodeSigningConfig(ctx context.Context, c cloud.Caller, in *CreateCodeSigningConfigInput) (*CreateCodeSigningConfigOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	row := &codeSigningRow{ID: newCodeSigningID(), Desc: cloud.Val(in.Description), Policy: "Warn", Modified: c.Now,
		Publishers: slices.Clone(in.AllowedPublishers.SigningProfileVersionArns), Tags: maps.Clone(in.Tags)}
	if in.CodeSigningPolicies != nil {
		set(&row.Policy, in.CodeSigningPolicies.UntrustedArtifactOnDeployment)
	}
	err := s.KV.Update(ctx, func(tx *kv.Tx) error {
		return kv.PutRow(tx, codeSigningKey(c.Account, c.Region, row.ID), row)
	})
	if err != nil {
		return nil, err
	}
	return &CreateCodeSigningConfigOutput{CodeSigningConfig: row.shown(c)}, nil
}

func loadCodeSigning(ctx context.Context, rd kv.Reader, c cloud.Caller, arn string) (*codeSigningRow, error) {
	var row codeSigningRow
	found, err := kv.GetRow(ctx, rd, codeSigningKey(c.Account, c.Region, codeSigningID(c, arn)), &row)
	if err != nil || !found {
		return nil, orElse(err, cloud.Faultf("ResourceNotFoundException", "The Lambda code signing configuration %s can not be found.", arn))
	}
	return &row, nil
}

func (s *Service) getCodeSigning(ctx context.Context, c cloud.Caller, in *GetCodeSigningConfigInput) (out *GetCodeSigningConfigOutput, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		row, err := loadCodeSigning(ctx, rd, c, *in.CodeSigningConfigArn)
		if err == nil {
			out = &GetCodeSigningConfigOutput{CodeSigningConfig: row.shown(c)}
		}
		return err
	})
	return out, err
}

func (s *Service) updateCodeSigningConfig(ctx context.Context, c cloud.Caller, in *UpdateCodeSigningConfigInput) (out *UpdateCodeSigningConfigOutput, err error) {
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := loadCodeSigning(ctx, tx, c, *in.CodeSigningConfigArn)
		if err != nil {
			return err
		}
		set(&row.Desc, in.Description)
		if in.AllowedPublishers != nil {
			row.Publishers = slices.Clone(in.AllowedPublishers.SigningProfileVersionArns)
		}
		if in.CodeSigningPolicies != nil {
			set(&row.Policy, in.CodeSigningPolicies.UntrustedArtifactOnDeployment)
		}
		row.Modified = c.Now
		out = &UpdateCodeSigningConfigOutput{CodeSigningConfig: row.shown(c)}
		return kv.PutRow(tx, codeSigningKey(c.Account, c.Region, row.ID), row)
	})
	return out, err
}

func (s *Service) deleteCodeSigningConfig(ctx context.Context, c cloud.Caller, in *DeleteCodeSigningConfigInput) (*DeleteCodeSigningConfigOutput, error) {
	err := s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := loadCodeSigning(ctx, tx, c, *in.CodeSigningConfigArn)
		if err != nil {
			return err
		}
		users := kv.Prefix(c.Account, c.Region, "codesigninguse", row.ID)
		users.Limit = 1
		found, err := tx.Scan(ctx, users)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return conflict("The code signing configuration %s is used by functions and cannot be deleted.", *in.CodeSigningConfigArn)
		}
		tx.Delete(codeSigningKey(c.Account, c.Region, row.ID))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteCodeSigningConfigOutput{}, nil
}

func (s *Service) listCodeSigningConfigs(ctx context.Context, c cloud.Caller, in *ListCodeSigningConfigsInput) (*ListCodeSigningConfigsOutput, error) {
	out := &ListCodeSigningConfigsOutput{CodeSigningConfigs: []CodeSigningConfig{}}
	err := s.KV.View(ctx, func(rd kv.Reader) (err error) {
		out.CodeSigningConfigs = out.CodeSigningConfigs[:0]
		out.NextMarker, err = page(ctx, rd, kv.Prefix(c.Account, c.Region, "codesigning"), in.Marker, in.MaxItems, 50, func(kvRow kv.KV) error {
			var row codeSigningRow
			if err := kv.DecodeRow(kvRow.Value, &row); err != nil {
				return err
			}
			out.CodeSigningConfigs = append(out.CodeSigningConfigs, *row.shown(c))
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) listFunctionsByCodeSigningConfig(ctx context.Context, c cloud.Caller, in *ListFunctionsByCodeSigningConfigInput) (*ListFunctionsByCodeSigningConfigOutput, error) {
	out := &ListFunctionsByCodeSigningConfigOutput{FunctionArns: []string{}}
	err := s.KV.View(ctx, func(rd kv.Reader) error {
		out.FunctionArns = out.FunctionArns[:0]
		row, err := loadCodeSigning(ctx, rd, c, *in.CodeSigningConfigArn)
		if err != nil {
			return err
		}
		users := kv.Prefix(c.Account, c.Region, "codesigninguse", row.ID)
		out.NextMarker, err = page(ctx, rd, users, in.Marker, in.MaxItems, 50, func(kvRow kv.KV) error {
			parts, err := kv.Unkey(kvRow.Key)
			if err != nil {
				return err
			}
			out.FunctionArns = append(out.FunctionArns, functionID{c.Account, c.Region, parts[4].(string)}.arn())
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// useCodeSigning gives a function a configuration, "" for none. The caller writes the function's row.
func useCodeSigning(ctx context.Context, tx *kv.Tx, c cloud.Caller, f functionID, fn *functionRow, arn string) error {
	if fn.CodeSigning != "" {
		tx.Delete(codeSigningUse(f, codeSigningID(c, fn.CodeSigning)))
	}
	fn.CodeSigning = arn
	if arn == "" {
		return nil
	}
	row, err := loadCodeSigning(ctx, tx, c, arn)
	if err != nil {
		return orElse(gone(err), noCodeSigning(arn))
	}
	tx.Set(codeSigningUse(f, row.ID), []byte{1})
	return nil
}

func noCodeSigning(arn string) error {
	f := cloud.Faultf("CodeSigningConfigNotFoundException", "The code signing configuration cannot be found. Check that the provided configuration is not deleted: %s.", arn)
	f.Detail = &CodeSigningConfigNotFoundException{Type: new("User"), Message: new(f.Message)}
	return f
}

// checkSignature refuses new code or layers for a function that enforces signatures.
func checkSignature(ctx context.Context, rd kv.Reader, c cloud.Caller, f functionID, arn string) error {
	if arn == "" {
		return nil
	}
	row, err := loadCodeSigning(ctx, rd, c, arn)
	if err != nil {
		return orElse(gone(err), noCodeSigning(arn))
	}
	if row.Policy != "Enforce" {
		return nil
	}
	fault := cloud.Faultf("CodeVerificationFailedException", "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is not configured to accept. Check the provided signature for %s.", f.name)
	fault.Detail = &CodeVerificationFailedException{Type: new("User"), Message: new(fault.Message)}
	return fault
}

func (s *Service) putFunctionCodeSigning(ctx context.Context, c cloud.Caller, in *PutFunctionCodeSigningConfigInput) (*PutFunctionCodeSigningConfigOutput, error) {
	r, err := s.setCodeSigning(ctx, c, in.FunctionName, *in.CodeSigningConfigArn)
	if err != nil {
		return nil, err
	}
	return &PutFunctionCodeSigningConfigOutput{CodeSigningConfigArn: in.CodeSigningConfigArn, FunctionName: new(r.name)}, nil
}

func (s *Service) deleteFunctionCodeSigning(ctx context.Context, c cloud.Caller, in *DeleteFunctionCodeSigningConfigInput) (*DeleteFunctionCodeSigningConfigOutput, error) {
	if _, err := s.setCodeSigning(ctx, c, in.FunctionName, ""); err != nil {
		return nil, err
	}
	return &DeleteFunctionCodeSigningConfigOutput{}, nil
}

func (s *Service) setCodeSigning(ctx context.Context, c cloud.Caller, name *string, arn string) (reference, error) {
	r, err := parseOwn(c, name, nil)
	if err != nil {
		return r, err
	}
	return r, s.KV.Update(ctx, func(tx *kv.Tx) error {
		if arn != "" { // AWS looks for it before it looks for the function
			if _, err := loadCodeSigning(ctx, tx, c, arn); err != nil {
				return orElse(gone(err), noCodeSigning(arn))
			}
		}
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		if err := useCodeSigning(ctx, tx, c, r.functionID, fn, arn); err != nil {
			return err
		}
		return kv.PutRow(tx, r.key(), fn)
	})
}

func (s *Service) getFunctionCodeSigning(ctx context.Context, c cloud.Caller, in *GetFunctionCodeSigningConfigInput) (*GetFunctionCodeSigningConfigOutput, error) {
	fn, r, err := s.row(ctx, c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &GetFunctionCodeSigningConfigOutput{}
	if fn.CodeSigning != "" {
		out.CodeSigningConfigArn, out.FunctionName = new(fn.CodeSigning), new(r.name)
	}
	return out, nil
}
