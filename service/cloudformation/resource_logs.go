package cloudformation

import (
	"cmp"

	"lambent/cloud"
)

func logsTypes() []*resourceType { return []*resourceType{logGroup()} }

func logGroup() *resourceType {
	describe := func(w *work) error {
		out, err := w.call("DescribeLogGroups", map[string]any{"logGroupNamePrefix": w.Name})
		if err != nil {
			return err
		}
		for _, g := range items(out, "logGroups") {
			if str(g, "logGroupName") == w.Name {
				return nil
			}
		}
		return notThere(w.Name)
	}
	retention := func(w *work) error {
		if w.Props["RetentionInDays"] == nil {
			if w.Old["RetentionInDays"] == nil {
				return nil
			}
			_, err := w.call("DeleteRetentionPolicy", map[string]any{"logGroupName": w.ID})
			return err
		}
		in := w.in("RetentionInDays")
		in["logGroupName"] = w.ID
		_, err := w.call("PutRetentionPolicy", in)
		return err
	}
	return &resourceType{
		Name: "AWS::Logs::LogGroup", Service: "logs", Lower: true, Stamped: true, NameLength: 512,
		Schema: `LogGroupName@name RetentionInDays:int KmsKeyId LogGroupClass BearerTokenAuthenticationEnabled:absent
			DataProtectionPolicy:absent DeletionProtectionEnabled:absent FieldIndexPolicies:absent ResourcePolicyDocument:absent Tags:[{Key! Value!}]`,
		Attributes: []string{"Arn"},
		Before:     absent(describe),
		Create: func(w *work) error {
			in := w.in("KmsKeyId", "LogGroupClass")
			in["logGroupName"] = w.Name
			if tags := tagMap(w.Props["Tags"]); len(tags) > 0 {
				in["tags"] = tags
			}
			if _, err := w.make("CreateLogGroup", in); err != nil {
				return err
			}
			w.ID = w.Name
			w.Attributes["Arn"] = "arn:aws:logs:" + w.Region + ":" + w.Account + ":log-group:" + w.Name + ":*"
			return retention(w)
		},
		Update: func(w *work) error {
			// A group keeps its class; a new group in its place would not have its logs.
			if cmp.Or(w.text("LogGroupClass"), "STANDARD") != cmp.Or(str(w.Old, "LogGroupClass"), "STANDARD") {
				return &cloud.Fault{Code: "InvalidParameterException", Message: "The class of a log group cannot be changed after it was created."}
			}
			if w.changed("KmsKeyId") && w.Old != nil {
				return cloud.NotImplemented("Update of KmsKeyId of AWS::Logs::LogGroup")
			}
			if w.changed("RetentionInDays") {
				if err := retention(w); err != nil {
					return err
				}
			}
			return w.retag("TagResource", "UntagResource", map[string]any{"resourceArn": "arn:aws:logs:" + w.Region + ":" + w.Account + ":log-group:" + w.ID}, "tags", "tagKeys")
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteLogGroup", map[string]any{"logGroupName": w.ID})
			return err
		},
	}
}
