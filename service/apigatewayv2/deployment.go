package apigatewayv2

import (
	"context"
	"errors"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// A snapshot is what a deployment keeps of an API.
type snapshot struct {
	Cors         *Cors
	Disabled     bool // disableExecuteApiEndpoint
	Routes       []Route
	Integrations []Integration
}

// errNoRoutes says that there is nothing to deploy.
var errNoRoutes = errors.New("the API has no routes")

func (s *Service) snapshotOf(ctx context.Context, r kv.Reader, c cloud.Caller, id string) (*snapshot, error) {
	api, err := s.api(ctx, r, c, &id)
	if err != nil {
		return nil, err
	}
	snap := &snapshot{Cors: api.CorsConfiguration, Disabled: cloud.Val(api.DisableExecuteApiEndpoint)}
	if snap.Routes, err = scan[Route](ctx, r, partRange(c, id, "route")); err != nil {
		return nil, err
	}
	if len(snap.Routes) == 0 {
		return nil, errNoRoutes
	}
	snap.Integrations, err = scan[Integration](ctx, r, partRange(c, id, "integration"))
	return snap, err
}

// put stores a deployment of the API as it stands now. The identifier is made per attempt: no row refers to one that
// was not committed.
func (s *Service) put(ctx context.Context, tx *kv.Tx, c cloud.Caller, api string, d Deployment) (*Deployment, error) {
	snap, err := s.snapshotOf(ctx, tx, c, api)
	if err != nil {
		return nil, err
	}
	d.DeploymentId, d.DeploymentStatus, d.CreatedDate = new(newID(6)), new("DEPLOYED"), new(c.Now.Truncate(time.Second))
	if err := kv.PutRow(tx, partKey(c, api, "snapshot", *d.DeploymentId), snap); err != nil {
		return nil, err
	}
	return &d, kv.PutRow(tx, partKey(c, api, "deployment", *d.DeploymentId), &d)
}

// autoDeploy deploys the API to its stages that ask for that.
func (s *Service) autoDeploy(ctx context.Context, tx *kv.Tx, c cloud.Caller, api string) error {
	stages, err := scan[Stage](ctx, tx, partRange(c, api, "stage"))
	if err != nil {
		return err
	}
	var made *Deployment
	for _, stage := range stages {
		if !cloud.Val(stage.AutoDeploy) {
			continue
		}
		if made == nil {
			made, err = s.put(ctx, tx, c, api, Deployment{AutoDeployed: new(true), Description: new("Automatic deployment triggered by changes to the Api configuration")})
			if errors.Is(err, errNoRoutes) {
				return nil // the stage keeps what it has
			}
			if err != nil {
				return err
			}
		}
		before := stage.DeploymentId
		stage.DeploymentId, stage.LastDeploymentStatusMessage = made.DeploymentId, new("Successfully deployed stage with deployment ID '"+*made.DeploymentId+"'")
		if err := kv.PutRow(tx, partKey(c, api, "stage", *stage.StageName), &stage); err != nil {
			return err
		}
		if err := s.dropAuto(ctx, tx, c, api, before); err != nil {
			return err
		}
	}
	return nil
}

// dropAuto removes an automatic deployment that no stage names any more.
func (s *Service) dropAuto(ctx context.Context, tx *kv.Tx, c cloud.Caller, api string, id *string) error {
	if id == nil {
		return nil
	}
	var d Deployment
	found, err := kv.GetRow(ctx, tx, partKey(c, api, "deployment", *id), &d)
	if err != nil || !found || !cloud.Val(d.AutoDeployed) {
		return err
	}
	used, err := s.usedBy(ctx, tx, c, api, *id)
	if err != nil || used {
		return err
	}
	tx.Delete(partKey(c, api, "deployment", *id))
	tx.Delete(partKey(c, api, "snapshot", *id))
	return nil
}

// usedBy says whether a stage names the deployment.
func (s *Service) usedBy(ctx context.Context, r kv.Reader, c cloud.Caller, api, id string) (bool, error) {
	stages, err := scan[Stage](ctx, r, partRange(c, api, "stage"))
	for _, stage := range stages {
		if cloud.Val(stage.DeploymentId) == id {
			return true, nil
		}
	}
	return false, err
}

func (s *Service) createDeployment(ctx context.Context, c cloud.Caller, in *CreateDeploymentInput) (*CreateDeploymentOutput, error) {
	var out *Deployment
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		d, err := s.put(ctx, tx, c, cloud.Val(in.ApiId), Deployment{AutoDeployed: new(false), Description: in.Description})
		if errors.Is(err, errNoRoutes) {
			return badRequest("Unable to deploy API because no routes exist in this API")
		}
		if err != nil {
			return err
		}
		out = d
		if in.StageName == nil {
			return nil
		}
		stage, err := part[Stage](ctx, s, tx, c, in.ApiId, in.StageName, "stage", "stage")
		if err != nil {
			return err
		}
		if cloud.Val(stage.AutoDeploy) {
			return badRequest("Cannot deploy to a stage with AutoDeploy enabled")
		}
		stage.DeploymentId, stage.LastUpdatedDate = d.DeploymentId, d.CreatedDate
		return kv.PutRow(tx, partKey(c, *in.ApiId, "stage", *in.StageName), stage)
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(CreateDeploymentOutput), out), nil
}

func (s *Service) getDeployment(ctx context.Context, c cloud.Caller, in *GetDeploymentInput) (*GetDeploymentOutput, error) {
	return view[GetDeploymentOutput, Deployment](ctx, s, c, in.ApiId, in.DeploymentId, "deployment", "Deployment")
}

func (s *Service) getDeployments(ctx context.Context, c cloud.Caller, in *GetDeploymentsInput) (*GetDeploymentsOutput, error) {
	items, next, err := parts(ctx, s, c, in.ApiId, "deployment", func(d *Deployment) string { return *d.DeploymentId }, in.MaxResults, in.NextToken)
	return &GetDeploymentsOutput{Items: items, NextToken: next}, err
}

func (s *Service) updateDeployment(ctx context.Context, c cloud.Caller, in *UpdateDeploymentInput) (*UpdateDeploymentOutput, error) {
	var out *Deployment
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		d, err := part[Deployment](ctx, s, tx, c, in.ApiId, in.DeploymentId, "deployment", "Deployment")
		if err != nil {
			return err
		}
		out = overlay(d, in)
		return kv.PutRow(tx, partKey(c, *in.ApiId, "deployment", *in.DeploymentId), d)
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(UpdateDeploymentOutput), out), nil
}

func (s *Service) deleteDeployment(ctx context.Context, c cloud.Caller, in *DeleteDeploymentInput) (*DeleteDeploymentOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := part[Deployment](ctx, s, tx, c, in.ApiId, in.DeploymentId, "deployment", "Deployment"); err != nil {
			return err
		}
		used, err := s.usedBy(ctx, tx, c, *in.ApiId, *in.DeploymentId)
		if err != nil {
			return err
		}
		if used {
			return badRequest("Active stages pointing to this deployment must be moved or deleted")
		}
		tx.Delete(partKey(c, *in.ApiId, "deployment", *in.DeploymentId))
		tx.Delete(partKey(c, *in.ApiId, "snapshot", *in.DeploymentId))
		return nil
	})
	return &DeleteDeploymentOutput{}, err
}
