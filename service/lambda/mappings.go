package lambda

import (
	"context"

	"lambent/cloud"
	"lambent/kv"
)

func loadMapping(ctx context.Context, rd kv.Reader, c cloud.Caller, uuid string) (*mappingRow, error) {
	var row mappingRow
	found, err := kv.GetRow(ctx, rd, mappingKey(c.Account, c.Region, uuid), &row)
	if err != nil || !found {
		return nil, orElse(err, notFound("The resource you requested does not exist."))
	}
	return &row, nil
}

func (s *Service) getMapping(ctx context.Context, c cloud.Caller, in *GetEventSourceMappingInput) (out *EventSourceMappingConfiguration, err error) {
	err = s.KV.View(ctx, func(rd kv.Reader) error {
		row, err := loadMapping(ctx, rd, c, *in.UUID)
		if err == nil {
			out = &row.Config
		}
		return err
	})
	return out, err
}

func (s *Service) updateMapping(ctx context.Context, c cloud.Caller, in *UpdateEventSourceMappingInput) (out *EventSourceMappingConfiguration, err error) {
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := loadMapping(ctx, tx, c, *in.UUID)
		if err != nil {
			return err
		}
		m := &row.Config
		k := m.kind()
		if in.FunctionName != nil {
			r, err := parseOwn(c, in.FunctionName, nil)
			if err != nil {
				return err
			}
			if _, _, err := r.find(ctx, tx); err != nil {
				return orElse(gone(err), invalid("Function does not exist"))
			}
			m.FunctionArn = new(r.qualified(r.qualifier))
			if err := r.onlyMapping(ctx, tx, m); err != nil {
				return err
			}
		}
		if in.SelfManagedKafkaEventSourceConfig != nil && k.name != "Kafka" {
			return invalid("Unsupported SelfManagedKafkaEventSourceConfig parameter for given event source mapping type.")
		}
		give(&m.SelfManagedKafkaEventSourceConfig, in.SelfManagedKafkaEventSourceConfig)
		if in.SourceAccessConfigurations != nil {
			m.SourceAccessConfigurations = in.SourceAccessConfigurations
		}
		if err := (*mappingSettings)(in).apply(m, k); err != nil {
			return err
		}
		m.LastModified, m.StateTransitionReason = new(c.Now), new(k.reason)
		out = during(*m, "Updating")
		return kv.PutRow(tx, mappingKey(c.Account, c.Region, *in.UUID), row)
	})
	return out, err
}

// kind is what the mapping's source is.
func (m *EventSourceMappingConfiguration) kind() *sourceKind {
	a, ok := cloud.ParseARN(cloud.Val(m.EventSourceArn))
	if !ok {
		return kindOf("kafka", "")
	}
	return kindOf(a.Service, a.Resource)
}

func (s *Service) deleteMapping(ctx context.Context, c cloud.Caller, in *DeleteEventSourceMappingInput) (out *EventSourceMappingConfiguration, err error) {
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		row, err := loadMapping(ctx, tx, c, *in.UUID)
		if err != nil {
			return err
		}
		out = during(row.Config, "Deleting")
		tx.Delete(mappingKey(c.Account, c.Region, *in.UUID))
		return nil
	})
	return out, err
}

func (s *Service) listMappings(ctx context.Context, c cloud.Caller, in *ListEventSourceMappingsInput) (*ListEventSourceMappingsOutput, error) {
	function := ""
	if in.FunctionName != nil {
		r, err := parseOwn(c, in.FunctionName, nil)
		if err != nil {
			return nil, err
		}
		function = r.qualified(r.qualifier)
	}
	out := &ListEventSourceMappingsOutput{EventSourceMappings: []EventSourceMappingConfiguration{}}
	err := s.KV.View(ctx, func(rd kv.Reader) (err error) {
		out.EventSourceMappings = out.EventSourceMappings[:0]
		out.NextMarker, err = page(ctx, rd, kv.Prefix(c.Account, c.Region, "mapping"), in.Marker, in.MaxItems, 100, func(kvRow kv.KV) error {
			var row mappingRow
			if err := kv.DecodeRow(kvRow.Value, &row); err != nil {
				return err
			}
			m := &row.Config
			if (function == "" || *m.FunctionArn == function) && (in.EventSourceArn == nil || cloud.Val(m.EventSourceArn) == *in.EventSourceArn) {
				out.EventSourceMappings = append(out.EventSourceMappings, *m)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
