package apigateway

import (
	"context"

	"lambent/cloud"
	"lambent/kv"
)

const noValidator = "Invalid Request Validator identifier specified"

func (s *Service) createRequestValidator(ctx context.Context, c cloud.Caller, in *CreateRequestValidatorInput) (*RequestValidator, error) {
	v := RequestValidator{
		Id: new(newID(6)), Name: in.Name,
		ValidateRequestBody: new(cloud.Val(in.ValidateRequestBody)), ValidateRequestParameters: new(cloud.Val(in.ValidateRequestParameters)),
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.api(ctx, tx, c, in.RestApiId); cloud.FaultCode(err) == "NotFoundException" {
			return badRequest("Invalid REST API identifier specified")
		} else if err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "validator", *v.Id), &v)
	})
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func (s *Service) validator(ctx context.Context, r kv.Reader, c cloud.Caller, api, id *string) (*RequestValidator, error) {
	var v RequestValidator
	found, err := kv.GetRow(ctx, r, partKey(c, cloud.Val(api), "validator", cloud.Val(id)), &v)
	if err == nil && !found {
		err = notFound("%s", noValidator)
	}
	return &v, err
}

func (s *Service) getRequestValidator(ctx context.Context, c cloud.Caller, in *GetRequestValidatorInput) (out *RequestValidator, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out, err = s.validator(ctx, r, c, in.RestApiId, in.RequestValidatorId)
		return err
	})
	return out, err
}

func (s *Service) getRequestValidators(ctx context.Context, c cloud.Caller, in *GetRequestValidatorsInput) (*RequestValidators, error) {
	out := &RequestValidators{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		if _, err := s.api(ctx, r, c, in.RestApiId); err != nil {
			return err
		}
		all, err := scan[RequestValidator](ctx, r, partRange(c, *in.RestApiId, "validator"))
		if err != nil {
			return err
		}
		out.Items, out.Position, err = page(all, func(v *RequestValidator) string { return *v.Id }, in.Position, in.Limit)
		return err
	})
	return out, err
}

func (s *Service) updateRequestValidator(ctx context.Context, c cloud.Caller, in *UpdateRequestValidatorInput) (out *RequestValidator, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		v, err := s.validator(ctx, tx, c, in.RestApiId, in.RequestValidatorId)
		if err != nil {
			return err
		}
		out = v
		t := target{
			"/name":                      replaceStr(&v.Name),
			"/validateRequestBody":       boolean(&v.ValidateRequestBody),
			"/validateRequestParameters": boolean(&v.ValidateRequestParameters),
		}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "validator", *v.Id), v)
	})
	return out, err
}

func (s *Service) deleteRequestValidator(ctx context.Context, c cloud.Caller, in *DeleteRequestValidatorInput) (*DeleteRequestValidatorOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		v, err := s.validator(ctx, tx, c, in.RestApiId, in.RequestValidatorId)
		if err != nil {
			return err
		}
		tx.Delete(partKey(c, *in.RestApiId, "validator", *v.Id))
		return nil
	})
	return &DeleteRequestValidatorOutput{}, err
}
