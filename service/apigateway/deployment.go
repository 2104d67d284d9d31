package apigateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// A snapshot is what a deployment keeps of an API. It is stored as one row for the settings, one a method and one a
// model, because an API may be larger than a row.
type snapshot struct {
	settings snapshotSettings
	methods  []snapshotMethod
	models   map[string]Model
}

type snapshotSettings struct {
	BinaryMediaTypes []string
	Disabled         bool // disableExecuteApiEndpoint
	Responses        []GatewayResponse
}

type snapshotMethod struct {
	ResourceID, Path string
	Method           Method
	Validator        *RequestValidator
}

// snapshotOf reads the API as it stands now, and refuses one that cannot be deployed.
func (s *Service) snapshotOf(ctx context.Context, r kv.Reader, c cloud.Caller, api *RestApi) (*snapshot, error) {
	snap := &snapshot{settings: snapshotSettings{
		BinaryMediaTypes: api.BinaryMediaTypes, Disabled: cloud.Val(api.DisableExecuteApiEndpoint),
	}}
	var err error
	if snap.settings.Responses, err = scan[GatewayResponse](ctx, r, partRange(c, *api.Id, "response")); err != nil {
		return nil, err
	}
	if snap.methods, err = s.deployable(ctx, r, c, *api.Id); err != nil {
		return nil, err
	}
	models, err := scan[Model](ctx, r, partRange(c, *api.Id, "model"))
	if err != nil {
		return nil, err
	}
	snap.models = map[string]Model{}
	for _, m := range models {
		snap.models[*m.Name] = m
	}
	return snap, nil
}

func (s *Service) deployable(ctx context.Context, r kv.Reader, c cloud.Caller, api string) ([]snapshotMethod, error) {
	resources, err := scan[Resource](ctx, r, partRange(c, api, "resource"))
	if err != nil {
		return nil, err
	}
	validators, err := scan[RequestValidator](ctx, r, partRange(c, api, "validator"))
	if err != nil {
		return nil, err
	}
	var out []snapshotMethod
	for _, res := range resources {
		methods, err := scan[Method](ctx, r, partRange(c, api, "method", *res.Id))
		if err != nil {
			return nil, err
		}
		for _, m := range methods {
			if m.MethodIntegration == nil {
				return nil, badRequest("No integration defined for method")
			}
			sm := snapshotMethod{ResourceID: *res.Id, Path: *res.Path, Method: m}
			if i := slices.IndexFunc(validators, func(v RequestValidator) bool { return *v.Id == cloud.Val(m.RequestValidatorId) }); i >= 0 {
				sm.Validator = &validators[i]
			}
			out = append(out, sm)
		}
	}
	if len(out) == 0 {
		return nil, badRequest("The REST API doesn't contain any methods")
	}
	return out, nil
}

// store writes the rows of a snapshot.
func (snap *snapshot) store(tx *kv.Tx, c cloud.Caller, api, deployment string) error {
	if err := kv.PutRow(tx, partKey(c, api, "snapshot", deployment, "settings"), &snap.settings); err != nil {
		return err
	}
	for i := range snap.methods {
		m := &snap.methods[i]
		if err := kv.PutRow(tx, partKey(c, api, "snapshot", deployment, "method", m.ResourceID, *m.Method.HttpMethod), m); err != nil {
			return err
		}
	}
	for name, m := range snap.models {
		if err := kv.PutRow(tx, partKey(c, api, "snapshot", deployment, "model", name), &m); err != nil {
			return err
		}
	}
	return nil
}

// loadSnapshot reads the rows of a deployment's snapshot; nil when there is none.
func loadSnapshot(ctx context.Context, r kv.Reader, c cloud.Caller, api, deployment string) (*snapshot, error) {
	snap := &snapshot{models: map[string]Model{}}
	found, err := kv.GetRow(ctx, r, partKey(c, api, "snapshot", deployment, "settings"), &snap.settings)
	if err != nil || !found {
		return nil, err
	}
	if snap.methods, err = scan[snapshotMethod](ctx, r, partRange(c, api, "snapshot", deployment, "method")); err != nil {
		return nil, err
	}
	models, err := scan[Model](ctx, r, partRange(c, api, "snapshot", deployment, "model"))
	for _, m := range models {
		snap.models[*m.Name] = m
	}
	return snap, err
}

func (s *Service) createDeployment(ctx context.Context, c cloud.Caller, in *CreateDeploymentInput) (*Deployment, error) {
	if in.CanarySettings != nil {
		return nil, cloud.NotImplemented("A canary deployment")
	}
	d := Deployment{Id: new(newID(6)), Description: in.Description, CreatedDate: new(c.Now.Truncate(time.Second))}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		api, err := s.api(ctx, tx, c, in.RestApiId)
		if err != nil {
			return err
		}
		snap, err := s.snapshotOf(ctx, tx, c, api)
		if err != nil {
			return err
		}
		if err := snap.store(tx, c, *api.Id, *d.Id); err != nil {
			return err
		}
		if err := kv.PutRow(tx, partKey(c, *api.Id, "deployment", *d.Id), &d); err != nil {
			return err
		}
		if cloud.Val(in.StageName) == "" {
			return nil
		}
		return s.deployTo(ctx, tx, c, in, *d.Id)
	})
	if errors.Is(err, kv.ErrTooLarge) {
		err = cloud.Faultf("LimitExceededException", "The API is too large to be deployed")
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// deployTo puts a deployment on the stage that its creation names, which is made if it is not there.
func (s *Service) deployTo(ctx context.Context, tx *kv.Tx, c cloud.Caller, in *CreateDeploymentInput, deployment string) error {
	var stage Stage
	key := partKey(c, *in.RestApiId, "stage", *in.StageName)
	found, err := kv.GetRow(ctx, tx, key, &stage)
	if err != nil {
		return err
	}
	if !found {
		stage = newStage(c, *in.StageName)
	}
	stage.DeploymentId, stage.LastUpdatedDate = &deployment, new(c.Now.Truncate(time.Second))
	if in.StageDescription != nil {
		stage.Description = in.StageDescription
	}
	if in.Variables != nil {
		stage.Variables = in.Variables
	}
	if in.CacheClusterEnabled != nil {
		stage.CacheClusterEnabled = in.CacheClusterEnabled
	}
	if in.TracingEnabled != nil {
		stage.TracingEnabled = in.TracingEnabled
	}
	if err := checkStage(&stage); err != nil {
		return err
	}
	return kv.PutRow(tx, key, &stage)
}

func (s *Service) deployment(ctx context.Context, r kv.Reader, c cloud.Caller, api, id *string) (*Deployment, error) {
	if _, err := s.api(ctx, r, c, api); err != nil {
		return nil, err
	}
	var d Deployment
	found, err := kv.GetRow(ctx, r, partKey(c, *api, "deployment", cloud.Val(id)), &d)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("Invalid Deployment identifier specified")
	}
	return &d, nil
}

func (s *Service) getDeployment(ctx context.Context, c cloud.Caller, in *GetDeploymentInput) (out *Deployment, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		if out, err = s.deployment(ctx, r, c, in.RestApiId, in.DeploymentId); err != nil {
			return err
		}
		if !slices.Contains(in.Embed, "apisummary") {
			return nil
		}
		snap, err := loadSnapshot(ctx, r, c, *in.RestApiId, *out.Id)
		if err != nil || snap == nil {
			return err
		}
		out.ApiSummary = map[string]map[string]MethodSnapshot{}
		for _, m := range snap.methods {
			if out.ApiSummary[m.Path] == nil {
				out.ApiSummary[m.Path] = map[string]MethodSnapshot{}
			}
			out.ApiSummary[m.Path][*m.Method.HttpMethod] = MethodSnapshot{AuthorizationType: m.Method.AuthorizationType, ApiKeyRequired: m.Method.ApiKeyRequired}
		}
		return nil
	})
	return out, err
}

func (s *Service) getDeployments(ctx context.Context, c cloud.Caller, in *GetDeploymentsInput) (*Deployments, error) {
	out := &Deployments{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		if _, err := s.api(ctx, r, c, in.RestApiId); err != nil {
			return err
		}
		all, err := scan[Deployment](ctx, r, partRange(c, *in.RestApiId, "deployment"))
		if err != nil {
			return err
		}
		out.Items, out.Position, err = page(all, func(d *Deployment) string { return *d.Id }, in.Position, in.Limit)
		return err
	})
	return out, err
}

func (s *Service) updateDeployment(ctx context.Context, c cloud.Caller, in *UpdateDeploymentInput) (out *Deployment, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		d, err := s.deployment(ctx, tx, c, in.RestApiId, in.DeploymentId)
		if err != nil {
			return err
		}
		out = d
		if err := (target{"/description": str(&d.Description)}).apply(in.PatchOperations); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "deployment", *d.Id), d)
	})
	return out, err
}

func (s *Service) deleteDeployment(ctx context.Context, c cloud.Caller, in *DeleteDeploymentInput) (*DeleteDeploymentOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		d, err := s.deployment(ctx, tx, c, in.RestApiId, in.DeploymentId)
		if err != nil {
			return err
		}
		stages, err := scan[Stage](ctx, tx, partRange(c, *in.RestApiId, "stage"))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(stages, func(s Stage) bool { return cloud.Val(s.DeploymentId) == *d.Id }) {
			return badRequest("Active stages pointing to this deployment must be moved or deleted")
		}
		tx.Delete(partKey(c, *in.RestApiId, "deployment", *d.Id))
		rows := partRange(c, *in.RestApiId, "snapshot", *d.Id)
		tx.DeleteRange(rows.Begin, rows.End)
		return nil
	})
	return &DeleteDeploymentOutput{}, err
}
