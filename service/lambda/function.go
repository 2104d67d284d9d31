package lambda

import (
	"context"
	"maps"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

func (s *Service) createFunction(ctx context.Context, c cloud.Caller, in *CreateFunctionInput) (*FunctionConfiguration, error) {
	r, err := parseOwn(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if r.qualifier != "" {
		return nil, invalid("Invalid function name: %s", *in.FunctionName)
	}
	if err := refuseCreate(in); err != nil {
		return nil, err
	}
	v := &versionRow{Timeout: defaultTimeout, Memory: defaultMemory, Tmp: defaultTmp, Tracing: "PassThrough", LogFormat: "Text", Arch: "x86_64"}
	if len(in.Architectures) > 0 {
		v.Arch = in.Architectures[0]
	}
	if err := createSettings(in).apply(v); err != nil {
		return nil, err
	}
	if err := s.sealer.seal(r.functionID, v); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := s.checkRuntime(v); err != nil {
		return nil, err
	}
	if err := s.checkRole(ctx, c, v.Role); err != nil {
		return nil, err
	}
	code := source{in.Code.ZipFile, in.Code.S3Bucket, in.Code.S3Key, in.Code.S3ObjectVersion}
	if v.Code, err = s.store(ctx, c, code, "CreateFunction"); err != nil {
		return nil, err
	}
	if len(in.Layers) > 0 {
		if v.Layers, err = s.readLayers(ctx, c, in.Layers); err != nil {
			return nil, err
		}
		if err := s.checkSize(ctx, v.Code, v.Layers); err != nil {
			return nil, err
		}
	}
	v.changed(c.Now)
	out := v
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if old, err := tx.Get(ctx, r.key()); err != nil || old != nil {
			return orElse(err, conflict("Function already exist: %s", r.name))
		}
		if v.Layers, err = useLayers(ctx, tx, c, in.Layers); err != nil {
			return err
		}
		fn := &functionRow{Created: c.Now, Tags: maps.Clone(in.Tags)}
		if err := checkSignature(ctx, tx, c, r.functionID, cloud.Val(in.CodeSigningConfigArn)); err != nil {
			return err
		}
		if err := useCodeSigning(ctx, tx, c, r.functionID, fn, cloud.Val(in.CodeSigningConfigArn)); err != nil {
			return err
		}
		if err := charge(ctx, tx, r.account, r.region, v.Code.Size); err != nil {
			return err
		}
		s.link(tx, r.functionID, v)
		if cloud.Val(in.Publish) {
			if out, err = s.publish(ctx, tx, r.functionID, fn, v, nil, c); err != nil {
				return err
			}
		}
		if err := kv.PutRow(tx, r.key(), fn); err != nil {
			return err
		}
		return r.save(tx, v)
	})
	if err != nil {
		return nil, err
	}
	s.Invoker.Expect(ctx, r.runnable(v, nil, 0))
	return creating(s.configuration(r.functionID, out, r.arn())), nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func createSettings(in *CreateFunctionInput) settings {
	return settings{role: in.Role, handler: in.Handler, runtime: in.Runtime, desc: in.Description, timeout: in.Timeout,
		memory: in.MemorySize, env: in.Environment, vpc: in.VpcConfig, tracing: in.TracingConfig,
		tmp: in.EphemeralStorage, logging: in.LoggingConfig}
}

// refuseCreate answers for what would have no effect.
func refuseCreate(in *CreateFunctionInput) error {
	switch {
	case cloud.Val(in.PackageType) == "Image" || in.Code.ImageUri != nil || in.ImageConfig != nil:
		return cloud.NotImplemented("PackageType Image")
	case cloud.Val(in.Code.SourceKMSKeyArn) != "":
		return cloud.NotImplemented("SourceKMSKeyArn")
	case in.TenancyConfig != nil:
		return cloud.NotImplemented("TenancyConfig")
	case in.PublishTo != nil:
		return cloud.NotImplemented("PublishTo")
	}
	return refused{in.FileSystemConfigs, in.DeadLetterConfig, in.KMSKeyArn, in.SnapStart,
		in.CapacityProviderConfig, in.DurableConfig, in.RuntimeConfig, in.AcceleratorConfig}.check()
}

// refused are parameters of create and update that would have no effect here.
type refused struct {
	files       []FileSystemConfig
	dead        *DeadLetterConfig
	key         *string
	snap        *SnapStart
	capacity    *CapacityProviderConfig
	durable     *DurableConfig
	runtime     *FunctionRuntimeConfig
	accelerator *AcceleratorConfig
}

func (g refused) check() error {
	switch {
	case len(g.files) > 0:
		return cloud.NotImplemented("FileSystemConfigs")
	case g.dead != nil && cloud.Val(g.dead.TargetArn) != "":
		return cloud.NotImplemented("DeadLetterConfig")
	case cloud.Val(g.key) != "":
		return cloud.NotImplemented("KMSKeyArn")
	case g.snap != nil && cloud.Or(g.snap.ApplyOn, "None") != "None":
		return cloud.NotImplemented("SnapStart")
	case g.capacity != nil:
		return cloud.NotImplemented("CapacityProviderConfig")
	case g.durable != nil:
		return cloud.NotImplemented("DurableConfig")
	case g.runtime != nil:
		return cloud.NotImplemented("RuntimeConfig")
	case g.accelerator != nil:
		return cloud.NotImplemented("AcceleratorConfig")
	}
	return nil
}

func (s *Service) getFunction(ctx context.Context, c cloud.Caller, in *GetFunctionInput) (*GetFunctionOutput, error) {
	r, err := parseOwn(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	out := &GetFunctionOutput{}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		v, _, err := r.find(ctx, rd)
		if err != nil {
			return err
		}
		fn, err := r.load(ctx, rd)
		if err != nil {
			return err
		}
		out.Configuration = s.configuration(r.functionID, v, r.qualified(r.qualifier))
		out.Code = &FunctionCodeLocation{RepositoryType: new("S3"), Location: new(s.location(c, v.Code))}
		if len(fn.Tags) > 0 {
			out.Tags = fn.Tags
		}
		if fn.Reserved != nil {
			out.Concurrency = &Concurrency{ReservedConcurrentExecutions: fn.Reserved}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) getFunctionConfiguration(ctx context.Context, c cloud.Caller, in *GetFunctionConfigurationInput) (out *FunctionConfiguration, err error) {
	r, err := parseOwn(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		v, _, err := r.find(ctx, rd)
		if err == nil {
			out = s.configuration(r.functionID, v, r.qualified(r.qualifier))
		}
		return err
	})
	return out, err
}

func (s *Service) updateFunctionCode(ctx context.Context, c cloud.Caller, in *UpdateFunctionCodeInput) (*FunctionConfiguration, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	switch {
	case in.ImageUri != nil:
		return nil, cloud.NotImplemented("PackageType Image")
	case cloud.Val(in.SourceKMSKeyArn) != "":
		return nil, cloud.NotImplemented("SourceKMSKeyArn")
	case in.PublishTo != nil:
		return nil, cloud.NotImplemented("PublishTo")
	}
	now, err := s.current(ctx, r, in.RevisionId)
	if err != nil {
		return nil, err
	}
	ref, err := s.store(ctx, c, source{in.ZipFile, in.S3Bucket, in.S3Key, in.S3ObjectVersion}, "UpdateFunctionCode")
	if err != nil {
		return nil, err
	}
	if err := s.checkSize(ctx, ref, now.Layers); err != nil {
		return nil, err
	}
	dry := cloud.Val(in.DryRun)
	return s.update(ctx, c, r, in.RevisionId, dry, cloud.Val(in.Publish), func(tx *kv.Tx, v *versionRow) error {
		if err := s.checkSigned(ctx, tx, c, r); err != nil {
			return err
		}
		if ref != v.Code && !dry {
			if err := charge(ctx, tx, r.account, r.region, ref.Size-v.Code.Size); err != nil {
				return err
			}
			s.Blobs.Unlink(tx, v.Code, r.owner(0))
			s.Blobs.Link(tx, ref, r.owner(0))
		}
		v.Code = ref
		if len(in.Architectures) > 0 {
			v.Arch = in.Architectures[0]
		}
		return s.checkRuntime(v)
	})
}

func (s *Service) updateFunctionConfiguration(ctx context.Context, c cloud.Caller, in *UpdateFunctionConfigurationInput) (*FunctionConfiguration, error) {
	r, err := parseLatest(c, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.ImageConfig != nil {
		return nil, cloud.NotImplemented("ImageConfig")
	}
	if err := (refused{in.FileSystemConfigs, in.DeadLetterConfig, in.KMSKeyArn, in.SnapStart,
		in.CapacityProviderConfig, in.DurableConfig, in.RuntimeConfig, in.AcceleratorConfig}).check(); err != nil {
		return nil, err
	}
	given := settings{role: in.Role, handler: in.Handler, runtime: in.Runtime, desc: in.Description, timeout: in.Timeout,
		memory: in.MemorySize, env: in.Environment, vpc: in.VpcConfig, tracing: in.TracingConfig,
		tmp: in.EphemeralStorage, logging: in.LoggingConfig}
	if in.Role != nil {
		if err := s.checkRole(ctx, c, *in.Role); err != nil {
			return nil, err
		}
	}
	if len(in.Layers) > 0 {
		if err := s.checkLayers(ctx, c, r, in.Layers); err != nil {
			return nil, err
		}
	}
	return s.update(ctx, c, r, in.RevisionId, false, false, func(tx *kv.Tx, v *versionRow) error {
		if err := given.apply(v); err != nil {
			return err
		}
		if in.Environment != nil {
			if err := s.sealer.seal(r.functionID, v); err != nil {
				return err
			}
		}
		if in.Layers != nil {
			layers, err := useLayers(ctx, tx, c, in.Layers)
			if err != nil {
				return err
			}
			if len(layers) > 0 {
				if err := s.checkSigned(ctx, tx, c, r); err != nil {
					return err
				}
			}
			s.unlink(tx, r.functionID, v)
			v.Layers = layers
			s.link(tx, r.functionID, v)
		}
		return s.checkRuntime(v)
	})
}

// checkSigned is checkSignature for a function that is there.
func (s *Service) checkSigned(ctx context.Context, tx *kv.Tx, c cloud.Caller, r reference) error {
	fn, err := r.load(ctx, tx)
	if err != nil {
		return err
	}
	return checkSignature(ctx, tx, c, r.functionID, fn.CodeSigning)
}

// readLayers is useLayers ahead of the transaction, for what takes long.
func (s *Service) readLayers(ctx context.Context, c cloud.Caller, arns []string) (uses []layerUse, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		uses, err = useLayers(ctx, rd, c, arns)
		return err
	})
	return uses, err
}

// checkLayers makes sure that the layers fit over the function's code.
func (s *Service) checkLayers(ctx context.Context, c cloud.Caller, r reference, arns []string) error {
	layers, err := s.readLayers(ctx, c, arns)
	if err != nil {
		return err
	}
	v, err := s.current(ctx, r, nil)
	if err != nil {
		return err
	}
	return s.checkSize(ctx, v.Code, layers)
}

// parseLatest is parseOwn for operations that work on $LATEST only.
func parseLatest(c cloud.Caller, name *string) (reference, error) {
	r, err := parseOwn(c, name, nil)
	if err == nil && r.qualifier != "" && r.qualifier != latest {
		err = invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
	}
	return r, err
}

// current reads $LATEST and holds it against the revision that the client expects.
func (s *Service) current(ctx context.Context, r reference, revision *string) (v *versionRow, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		v, err = r.latestOf(ctx, rd, revision)
		return err
	})
	return v, err
}

func (r reference) latestOf(ctx context.Context, rd kv.Reader, revision *string) (*versionRow, error) {
	v, err := r.loadVersion(ctx, rd, 0)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, functionNotFound(r.arn())
	}
	return v, checkRevision(revision, v.Revision, "GetFunction/GetAlias")
}

// update changes $LATEST, and lets the sandboxes of before go.
func (s *Service) update(ctx context.Context, c cloud.Caller, r reference, revision *string, dry, publish bool, change func(*kv.Tx, *versionRow) error) (*FunctionConfiguration, error) {
	var old, v *versionRow
	var out *FunctionConfiguration
	err := s.KV.Update(ctx, func(tx *kv.Tx) (err error) {
		if v, err = r.latestOf(ctx, tx, revision); err != nil {
			return err
		}
		before := *v
		old = &before
		if err := change(tx, v); err != nil {
			return err
		}
		v.changed(c.Now)
		out = updating(s.configuration(r.functionID, v, r.arn()))
		if dry {
			return nil
		}
		if publish {
			fn, err := r.load(ctx, tx)
			if err != nil {
				return err
			}
			numbered, err := s.publish(ctx, tx, r.functionID, fn, v, nil, c)
			if err != nil {
				return err
			}
			if err := kv.PutRow(tx, r.key(), fn); err != nil {
				return err
			}
			out = updating(s.configuration(r.functionID, numbered, r.qualified(numbered.version())))
		}
		return r.save(tx, v)
	})
	if err != nil || dry {
		return out, err
	}
	s.Invoker.Forget(r.runnable(old, nil, 0))
	s.Invoker.Expect(ctx, r.runnable(v, nil, 0))
	return out, nil
}

func (s *Service) deleteFunction(ctx context.Context, c cloud.Caller, in *DeleteFunctionInput) (*DeleteFunctionOutput, error) {
	r, err := parseOwn(c, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case r.qualifier == "":
		err = s.deleteWhole(ctx, c, r)
	case r.qualifier == latest:
		err = invalid("$LATEST version cannot be deleted without deleting the function.")
	case isNumber(r.qualifier):
		err = s.deleteVersion(ctx, r)
	default:
		err = invalid("Deletion of aliases is not currently supported.")
	}
	if err != nil {
		return nil, err
	}
	return &DeleteFunctionOutput{StatusCode: new(int32(204))}, nil
}

func (s *Service) deleteWhole(ctx context.Context, c cloud.Caller, r reference) error {
	var gone []*versionRow
	err := s.KV.Update(ctx, func(tx *kv.Tx) error {
		gone = nil
		fn, err := r.load(ctx, tx)
		if err != nil {
			return err
		}
		versions, err := tx.Scan(ctx, kv.Prefix(r.account, r.region, "version", r.name))
		if err != nil {
			return err
		}
		var size int64
		for _, row := range versions {
			var v versionRow
			if err := kv.DecodeRow(row.Value, &v); err != nil {
				return err
			}
			s.unlink(tx, r.functionID, &v)
			size += v.Code.Size
			gone = append(gone, &v)
		}
		if err := charge(ctx, tx, r.account, r.region, -size); err != nil {
			return err
		}
		if err := useCodeSigning(ctx, tx, c, r.functionID, fn, ""); err != nil {
			return err
		}
		if err := s.dropURLs(ctx, tx, r.functionID); err != nil {
			return err
		}
		for _, rows := range r.rowsOf() {
			tx.DeleteRange(rows.Begin, rows.End)
		}
		if err := changeShare(ctx, tx, r.functionID, fn.share(), nil, ""); err != nil {
			return err
		}
		tx.Delete(r.provisionedKey())
		tx.Notify(provisionedTopic)
		tx.Delete(r.key())
		tx.Delete(r.markKey())
		return nil
	})
	if err != nil {
		return err
	}
	s.forget(r.functionID)
	for _, v := range gone {
		s.Invoker.Forget(r.runnable(v, nil, 0))
	}
	return nil
}

// runnable is a version as package invoke runs it.
func (f functionID) runnable(v *versionRow, reserved *int32, unreserved int) *invoke.Function {
	fn := &invoke.Function{
		Account: f.account, Region: f.region, Name: f.name, Version: v.version(), ARN: f.arn(), Revision: v.Build,
		Runtime: v.Runtime, Handler: v.Handler, Code: v.Code, Layers: layersOf(v.Layers), Memory: int(v.Memory), Tmp: int(v.Tmp),
		Timeout: seconds(v.Timeout), Env: v.Env, RoleARN: v.Role, LogGroup: f.logGroup(v),
		JSONLogs: v.LogFormat == "JSON", AppLogLevel: v.AppLevel, SystemLogLevel: v.SysLevel, Unreserved: unreserved,
	}
	if reserved != nil {
		fn.Reserved = new(int(*reserved))
	}
	return fn
}
