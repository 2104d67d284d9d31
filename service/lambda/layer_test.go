package lambda_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"lambent/blob"
	"lambent/invoke/invoketest"
	"lambent/kv"
	"lambent/service/lambda"
)

const layerARN = "arn:aws:lambda:us-east-1:111111111111:layer:"

func (b *bench) publishLayer(name string, files ...string) *lambda.PublishLayerVersionOutput {
	b.t.Helper()
	return must[lambda.PublishLayerVersionOutput](b, &lambda.PublishLayerVersionInput{LayerName: new(name), CompatibleRuntimes: []string{"nodejs20.x"},
		Content: &lambda.LayerVersionContentInput{ZipFile: invoketest.Zip(b.t, files...)}})
}

func TestLayerVersions(t *testing.T) {
	b := newBench(t)
	for n := range int64(3) {
		out := b.publishLayer("l", "lib/a.txt", fmt.Sprint(n))
		if *out.Version != n+1 || *out.LayerVersionArn != fmt.Sprintf("%sl:%d", layerARN, n+1) || *out.Content.CodeSize == 0 || *out.CreatedDate != "2024-01-02T03:04:05.000+0000" {
			t.Errorf("published %+v", out)
		}
	}
	b.publishLayer("other", "x", "x")
	must[lambda.DeleteLayerVersionOutput](b, &lambda.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(3))})
	must[lambda.DeleteLayerVersionOutput](b, &lambda.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(3))})
	if out := b.publishLayer("l", "lib/a.txt", "4"); *out.Version != 4 {
		t.Errorf("a number was given twice: %d", *out.Version)
	}
	byARN := must[lambda.GetLayerVersionResponse](b, &lambda.GetLayerVersionByArnInput{Arn: new(layerARN + "l:2")})
	byName := must[lambda.GetLayerVersionResponse](b, &lambda.GetLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(2))})
	if *byARN.Content.CodeSha256 != *byName.Content.CodeSha256 || !strings.Contains(*byARN.Content.Location, "_lambda-code") {
		t.Errorf("by ARN %+v, by name %+v", byARN, byName)
	}
	var seen []int64
	in := &lambda.ListLayerVersionsInput{LayerName: new("l"), MaxItems: new(int32(2))}
	for {
		out := must[lambda.ListLayerVersionsOutput](b, in)
		for _, v := range out.LayerVersions {
			seen = append(seen, *v.Version)
		}
		if in.Marker = out.NextMarker; in.Marker == nil {
			break
		}
	}
	if fmt.Sprint(seen) != "[4 2 1]" {
		t.Errorf("versions %v", seen)
	}
	layers := must[lambda.ListLayersOutput](b, &lambda.ListLayersInput{CompatibleRuntime: new("nodejs20.x")}).Layers
	if len(layers) != 2 || *layers[0].LayerArn != layerARN+"l" || *layers[0].LatestMatchingVersion.Version != 4 {
		t.Errorf("layers %+v", layers)
	}
	if none := must[lambda.ListLayersOutput](b, &lambda.ListLayersInput{CompatibleRuntime: new("python3.12")}).Layers; none == nil || len(none) != 0 {
		t.Errorf("layers for python %+v", none)
	}
	b.fails(&lambda.GetLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(3))}, "ResourceNotFoundException", "The resource you requested does not exist.")
	b.fails(&lambda.GetLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(0))}, "InvalidParameterValueException", "Layer Version Cannot be less than 1")
	b.fails(&lambda.PublishLayerVersionInput{LayerName: new("l"), Content: &lambda.LayerVersionContentInput{ZipFile: []byte("no zip")}}, "InvalidParameterValueException", "Could not unzip uploaded file.")
}

// TestLayersOfFunctions follows aws-replies: test_lambda_api.py::TestLambdaLayer::test_layer_function_exceptions.
func TestLayersOfFunctions(t *testing.T) {
	b := newBench(t)
	b.publishLayer("l", "a", "1")
	b.publishLayer("l", "a", "2")
	with := func(arns ...string) *lambda.CreateFunctionInput {
		return b.createInput("f", func(in *lambda.CreateFunctionInput) { in.Layers = arns })
	}
	b.fails(with(layerARN+"none:1"), "InvalidParameterValueException", "Layer version "+layerARN+"none:1 does not exist.")
	b.fails(with(layerARN+"l:9"), "InvalidParameterValueException", "Layer version "+layerARN+"l:9 does not exist.")
	b.fails(with(strings.Replace(layerARN, "us-east-1", "eu-west-1", 1)+"l:1"), "InvalidParameterValueException", "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.")
	b.fails(with(layerARN+"l:1", layerARN+"l:2"), "InvalidParameterValueException", "Two different versions of the same layer are not allowed to be referenced in the same function. "+layerARN+"l:1 and "+layerARN+"l:2 are versions of the same layer.")
	b.fails(with(layerARN+"l"), "ValidationException", "at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048")
	b.fails(with(make([]string, 6)...), "InvalidParameterValueException", "Cannot reference more than 5 layers.")

	created := must[lambda.FunctionConfiguration](b, with(layerARN+"l:1"))
	if len(created.Layers) != 1 || *created.Layers[0].Arn != layerARN+"l:1" || *created.Layers[0].CodeSize == 0 {
		t.Errorf("layers = %+v", created.Layers)
	}
	must[lambda.FunctionConfiguration](b, &lambda.PublishVersionInput{FunctionName: new("f")})
	must[lambda.DeleteLayerVersionOutput](b, &lambda.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(1))})
	if got := b.invoke(&lambda.InvokeInput{FunctionName: new("f"), Qualifier: new("1")}); got["version"] != "1" {
		t.Errorf("a function whose layer was deleted: %v", got)
	}
	changed := must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Layers: []string{layerARN + "l:2"}})
	if len(changed.Layers) != 1 || *changed.Layers[0].Arn != layerARN+"l:2" {
		t.Errorf("layers = %+v", changed.Layers)
	}
	b.sound()
	if none := must[lambda.FunctionConfiguration](b, &lambda.UpdateFunctionConfigurationInput{FunctionName: new("f"), Layers: []string{}}); none.Layers != nil {
		t.Errorf("layers = %+v", none.Layers)
	}
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f")})
	must[lambda.DeleteLayerVersionOutput](b, &lambda.DeleteLayerVersionInput{LayerName: new("l"), VersionNumber: new(int64(2))})
	if n := b.sound(); n != 0 {
		t.Errorf("%d references are left", n)
	}
}

// sound holds the references to blobs against the rows that have them, and counts them.
func (b *bench) sound() int {
	b.t.Helper()
	held, wanted := map[string]bool{}, map[string]bool{}
	each := func(room *kv.Store, fn func(kv.KV) error) {
		err := room.View(b.t.Context(), func(r kv.Reader) error {
			rows, err := r.Scan(b.t.Context(), kv.Range{})
			for _, row := range rows {
				if err := fn(row); err != nil {
					return fmt.Errorf("%q: %w", row.Key, err)
				}
			}
			return err
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	each(b.store.In("blob").In("blob"), func(row kv.KV) error {
		if hash, owner, ok := blob.ParseRow(row.Key); ok {
			held[fmt.Sprintf("%x %s", hash, owner)] = true
		}
		return nil
	})
	each(b.store.In("lambda"), func(row kv.KV) error {
		return lambda.CheckRow(row, func(ref blob.Ref, owner string) { wanted[fmt.Sprintf("%x %s", ref.SHA256, owner)] = true })
	})
	for name := range wanted {
		if !held[name] {
			b.t.Errorf("no reference %s", name)
		}
	}
	for name := range held {
		if !wanted[name] {
			b.t.Errorf("nobody has %s", name)
		}
	}
	if got := must[lambda.GetAccountSettingsOutput](b, &lambda.GetAccountSettingsInput{}).AccountUsage; *got.TotalCodeSize != b.charged() {
		b.t.Errorf("the account's code has %d bytes, charged are %d", *got.TotalCodeSize, b.charged())
	}
	return len(held)
}

// charged is what the account's code is held against the limit as.
func (b *bench) charged() (n int64) {
	err := b.store.In("lambda").View(b.t.Context(), func(r kv.Reader) error {
		row, err := r.Get(b.t.Context(), kv.Key(b.c.Account, b.c.Region, "storage"))
		if len(row) == 8 {
			n = int64(binary.BigEndian.Uint64(row))
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// TestStorageLimit fills the account's 75 GB in the books.
func TestStorageLimit(t *testing.T) {
	b := newBench(t)
	b.create("f")
	err := b.store.In("lambda").Update(t.Context(), func(tx *kv.Tx) error {
		tx.Set(kv.Key(b.c.Account, b.c.Region, "storage"), binary.BigEndian.AppendUint64(nil, 75<<30))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.fails(b.createInput("g"), "CodeStorageExceededException", "Code storage limit exceeded.")
	b.fails(&lambda.PublishVersionInput{FunctionName: new("f")}, "CodeStorageExceededException", "Code storage limit exceeded.")
	must[lambda.DeleteFunctionOutput](b, &lambda.DeleteFunctionInput{FunctionName: new("f")})
	b.create("g")
}

// TestLayerPermissions follows aws-replies: test_lambda_api.py::TestLambdaLayer::test_layer_policy_exceptions.
func TestLayerPermissions(t *testing.T) {
	b := newBench(t)
	b.publishLayer("l", "a", "1")
	one, two := new(int64(1)), new(int64(2))
	add := &lambda.AddLayerVersionPermissionInput{LayerName: new("l"), VersionNumber: one, StatementId: new("s1"), Action: new("lambda:GetLayerVersion"), Principal: new("*")}
	b.fails(&lambda.GetLayerVersionPolicyInput{LayerName: new("l"), VersionNumber: one}, "ResourceNotFoundException", "No policy is associated with the given resource.")
	added := must[lambda.AddLayerVersionPermissionOutput](b, add)
	if want := `{"Sid":"s1","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"` + layerARN + `l:1"}`; *added.Statement != want {
		t.Errorf("statement %s\nwant %s", *added.Statement, want)
	}
	b.fails(add, "ResourceConflictException", "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing statement.")
	wrong := *add
	wrong.StatementId, wrong.RevisionId = new("s2"), new("wrong")
	b.fails(&wrong, "PreconditionFailedException", "Call the GetLayerPolicy API to retrieve the latest Revision Id")
	wrong.VersionNumber = two
	b.fails(&wrong, "ResourceNotFoundException", "Layer version "+layerARN+"l:2 does not exist.")
	policy := must[lambda.GetLayerVersionPolicyOutput](b, &lambda.GetLayerVersionPolicyInput{LayerName: new("l"), VersionNumber: one})
	if *policy.RevisionId != *added.RevisionId || !strings.HasPrefix(*policy.Policy, `{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s1"`) {
		t.Errorf("policy %+v", policy)
	}

	owner := b.c
	b.c.Account, b.c.ARN = "222222222222", "arn:aws:iam::222222222222:root"
	must[lambda.GetLayerVersionResponse](b, &lambda.GetLayerVersionByArnInput{Arn: new(layerARN + "l:1")})
	b.fails(&lambda.DeleteLayerVersionInput{LayerName: new(layerARN + "l"), VersionNumber: one}, "AccessDeniedException", "lambda:DeleteLayerVersion")
	stranger := b.c
	b.c = owner
	b.fails(&lambda.RemoveLayerVersionPermissionInput{LayerName: new("l"), VersionNumber: one, StatementId: new("no")}, "ResourceNotFoundException", "Statement no is not found in resource policy.")
	b.fails(&lambda.RemoveLayerVersionPermissionInput{LayerName: new("l"), VersionNumber: one, StatementId: new("s1"), RevisionId: new("x")}, "PreconditionFailedException", "GetLayerPolicy")
	must[lambda.RemoveLayerVersionPermissionOutput](b, &lambda.RemoveLayerVersionPermissionInput{LayerName: new("l"), VersionNumber: one, StatementId: new("s1")})
	b.c = stranger
	b.fails(&lambda.GetLayerVersionByArnInput{Arn: new(layerARN + "l:1")}, "AccessDeniedException", "no resource-based policy allows the lambda:GetLayerVersion action")
	b.fails(b.createInput("f", func(in *lambda.CreateFunctionInput) {
		in.Role, in.Layers = new("arn:aws:iam::222222222222:role/r"), []string{layerARN + "l:1"}
	}), "AccessDeniedException", "lambda:GetLayerVersion")
}
