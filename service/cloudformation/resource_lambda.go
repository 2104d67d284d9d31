package cloudformation

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"lambent/cloud"
)

func lambdaTypes() []*resourceType {
	return []*resourceType{lambdaFunction(), lambdaVersion(), lambdaAlias(), lambdaPermission(), lambdaEventInvokeConfig(), lambdaURL()}
}

// lambdaSettings are the properties of a function that UpdateFunctionConfiguration sets.
var lambdaSettings = [...]string{"Role", "Handler", "Runtime", "Description", "Timeout", "MemorySize", "Environment", "VpcConfig",
	"DeadLetterConfig", "TracingConfig", "Layers", "FileSystemConfigs", "ImageConfig", "EphemeralStorage", "SnapStart", "LoggingConfig", "KmsKeyArn>KMSKeyArn"}

func lambdaFunction() *resourceType {
	return &resourceType{
		Name: "AWS::Lambda::Function", Service: "lambda", Stamped: true, NameLength: 64,
		Schema: `FunctionName@name Role! Handler Runtime Description Timeout:int MemorySize:int PackageType@new Architectures:[string]
			Code!:{S3Bucket S3Key S3ObjectVersion ZipFile ImageUri SourceKMSKeyArn S3ObjectStorageMode:absent} Environment:{Variables:map}
			VpcConfig:{SubnetIds:[string] SecurityGroupIds:[string] Ipv6AllowedForDualStack:bool} DeadLetterConfig:{TargetArn}
			TracingConfig:{Mode} Layers:[string] FileSystemConfigs:[{Arn! LocalMountPath! S3FilesConfig:absent}] EphemeralStorage:{Size!:int}
			ImageConfig:{Command:[string] EntryPoint:[string] WorkingDirectory} SnapStart:{ApplyOn!} KmsKeyArn
			LoggingConfig:{LogFormat LogGroup ApplicationLogLevel SystemLogLevel} ReservedConcurrentExecutions:int
			CodeSigningConfigArn RuntimeManagementConfig:{UpdateRuntimeOn! RuntimeVersionArn} RecursiveLoop CapacityProviderConfig:absent DurableConfig:absent FunctionScalingConfig:absent PublishToLatestPublished:absent
			TenancyConfig:absent Tags:[{Key! Value}]`,
		Attributes: []string{"Arn", "SnapStartResponse", "SnapStartResponse.ApplyOn", "SnapStartResponse.OptimizationStatus"},
		Before: absent(func(w *work) error {
			_, err := w.call("GetFunctionConfiguration", map[string]any{"FunctionName": w.Name})
			return err
		}),
		Create: func(w *work) error {
			in := w.in(append(lambdaSettings[:], "PackageType", "Architectures", "CodeSigningConfigArn")...)
			in["FunctionName"] = w.Name
			code, err := w.functionCode()
			if err != nil {
				return err
			}
			in["Code"] = code
			if tags := tagMap(w.Props["Tags"]); len(tags) > 0 {
				in["Tags"] = tags
			}
			if _, err := w.make("CreateFunction", in); err != nil {
				return err
			}
			w.ID = w.Name
			if err := w.functionReady(); err != nil {
				return err
			}
			return w.functionExtras()
		},
		Update: updateFunction,
		Delete: func(w *work) error {
			_, err := w.call("DeleteFunction", map[string]any{"FunctionName": w.ID})
			return err
		},
	}
}

func updateFunction(w *work) error {
	if w.changed("CodeSigningConfigArn") && w.Old != nil {
		return cloud.NotImplemented("Update of CodeSigningConfigArn of AWS::Lambda::Function")
	}
	if w.changed("Code", "Architectures") {
		in, err := w.functionCode()
		if err != nil {
			return err
		}
		in["Architectures"] = []any{"x86_64"}
		maps.Copy(in, w.in("Architectures"))
		in["FunctionName"] = w.ID
		if _, err := w.call("UpdateFunctionCode", in); err != nil {
			return err
		}
		if err := w.functionReady(); err != nil {
			return err
		}
	}
	in := w.settings(map[string]any{
		"Description": "", "Timeout": number("3"), "MemorySize": number("128"), "Environment": map[string]any{"Variables": map[string]any{}},
		"VpcConfig":        map[string]any{"SubnetIds": []any{}, "SecurityGroupIds": []any{}},
		"DeadLetterConfig": map[string]any{"TargetArn": ""}, "TracingConfig": map[string]any{"Mode": "PassThrough"},
		"Layers": []any{}, "FileSystemConfigs": []any{}, "ImageConfig": map[string]any{}, "EphemeralStorage": map[string]any{"Size": number("512")},
		"SnapStart": map[string]any{"ApplyOn": "None"}, "LoggingConfig": map[string]any{"LogFormat": "Text", "LogGroup": "/aws/lambda/" + w.ID},
	}, lambdaSettings[:len(lambdaSettings)-1]...)
	if w.changed("KmsKeyArn") && w.Old != nil {
		in["KMSKeyArn"] = w.text("KmsKeyArn")
	}
	if len(in) > 0 {
		in["FunctionName"] = w.ID
		if _, err := w.call("UpdateFunctionConfiguration", in); err != nil {
			return err
		}
		if err := w.functionReady(); err != nil {
			return err
		}
	}
	if err := w.functionExtras(); err != nil {
		return err
	}
	return w.retag("TagResource", "UntagResource", map[string]any{"Resource": w.functionARN(w.ID)}, "Tags", "TagKeys")
}

// functionExtras sets what has operations of its own.
func (w *work) functionExtras() error {
	name := map[string]any{"FunctionName": w.ID}
	if w.sets("ReservedConcurrentExecutions") {
		operation, in := "PutFunctionConcurrency", w.in("ReservedConcurrentExecutions")
		if len(in) == 0 {
			operation = "DeleteFunctionConcurrency"
		}
		maps.Copy(in, name)
		if _, err := w.call(operation, in); err != nil {
			return err
		}
	}
	if w.sets("RuntimeManagementConfig") {
		in := map[string]any{"UpdateRuntimeOn": "Auto"}
		if m, ok := w.Props["RuntimeManagementConfig"].(map[string]any); ok {
			in = maps.Clone(m)
		}
		maps.Copy(in, name)
		if _, err := w.call("PutRuntimeManagementConfig", in); err != nil {
			return err
		}
	}
	if w.sets("RecursiveLoop") {
		in := map[string]any{"RecursiveLoop": "Terminate"}
		maps.Copy(in, w.in("RecursiveLoop"))
		maps.Copy(in, name)
		if _, err := w.call("PutFunctionRecursionConfig", in); err != nil {
			return err
		}
	}
	return nil
}

// functionCode returns the code as the API takes it: an inline program becomes a zip with one file.
func (w *work) functionCode() (map[string]any, error) {
	code, _ := w.in("Code")["Code"].(map[string]any)
	source, inline := code["ZipFile"].(string)
	if !inline {
		return code, nil
	}
	name := "index.js"
	switch runtime := w.text("Runtime"); {
	case strings.HasPrefix(runtime, "python"):
		name = "index.py"
	case !strings.HasPrefix(runtime, "nodejs"):
		return nil, invalid("ZipFile can only be used when Runtime is set to either of [nodejs*, python*].")
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: name, Method: zip.Deflate} // without a time: the same program is the same zip
	header.SetMode(0o644)
	f, err := z.CreateHeader(header)
	if err == nil {
		_, err = f.Write([]byte(source))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("zip inline code: %w", err)
	}
	code["ZipFile"] = base64.StdEncoding.EncodeToString(b.Bytes())
	return code, nil
}

// functionReady waits until the function can be called and changed, and notes its ARN. Usually that is at
// once; an image being fetched takes longer.
func (w *work) functionReady() error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		out, err := w.call("GetFunctionConfiguration", map[string]any{"FunctionName": w.ID})
		if err != nil {
			return err
		}
		w.Attributes["Arn"], w.Attributes["SnapStartResponse"] = str(out, "FunctionArn"), at(out, "SnapStart")
		for _, k := range []string{"ApplyOn", "OptimizationStatus"} {
			w.Attributes["SnapStartResponse."+k] = str(out, "SnapStart", k)
		}
		switch {
		case str(out, "State") == "Failed":
			return invalid("Function %s is in a failed state: %s", w.ID, str(out, "StateReason"))
		case str(out, "LastUpdateStatus") == "Failed":
			return invalid("Update of function %s failed: %s", w.ID, str(out, "LastUpdateStatusReason"))
		case str(out, "State") != "Pending" && str(out, "LastUpdateStatus") != "InProgress":
			return nil
		}
		select {
		case <-w.ctx.Done():
			return w.ctx.Err()
		case <-time.After(wait):
		}
	}
}

// functionARN returns the ARN of a function given by name, or by ARN.
func (w *work) functionARN(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return "arn:aws:lambda:" + w.Region + ":" + w.Account + ":function:" + name
}

func lambdaVersion() *resourceType {
	last := func(w *work) (last int, arn string, err error) {
		in := map[string]any{"FunctionName": w.text("FunctionName")}
		for {
			out, err := w.call("ListVersionsByFunction", in)
			if err != nil {
				return 0, "", err
			}
			for _, v := range items(out, "Versions") {
				if n, err := strconv.Atoi(str(v, "Version")); err == nil && n > last {
					last, arn = n, str(v, "FunctionArn")
				}
			}
			if in["Marker"] = str(out, "NextMarker"); in["Marker"] == "" {
				return last, arn, nil
			}
		}
	}
	return &resourceType{
		Name: "AWS::Lambda::Version", Service: "lambda",
		Schema: `FunctionName!@new CodeSha256@new Description@new ProvisionedConcurrencyConfig@new:{ProvisionedConcurrentExecutions!:int}
			RuntimePolicy:absent FunctionScalingConfig:absent`,
		Attributes: []string{"Version", "FunctionArn"},
		Before: func(w *work) error {
			n, _, err := last(w)
			w.Notes["last"] = strconv.Itoa(n)
			return err
		},
		Find: func(w *work) error {
			n, arn, err := last(w)
			before, _ := strconv.Atoi(str(w.Notes, "last"))
			if err == nil && n > before && !w.Claimed(arn) {
				w.ID = arn
			}
			return gone(err)
		},
		Create: func(w *work) error {
			// Publishing again gives the same version as long as the function did not change.
			out, err := w.call("PublishVersion", w.in("FunctionName", "CodeSha256", "Description"))
			if err != nil {
				return err
			}
			arn, version := str(out, "FunctionArn"), str(out, "Version")
			if w.foundVersion(version) && w.Claimed(arn) {
				return &cloud.Fault{Code: "ResourceConflictException", Status: 409,
					Message: "A version for this Lambda function exists ( " + version + " ). Modify the function to create a new version."}
			}
			w.ID = arn
			w.Attributes["Version"], w.Attributes["FunctionArn"] = version, w.ID
			return w.provision(version)
		},
		Delete: func(w *work) error {
			arn, version := w.ID[:strings.LastIndexByte(w.ID, ':')], w.ID[strings.LastIndexByte(w.ID, ':')+1:]
			if w.foundVersion(version) {
				return nil
			}
			_, err := w.call("DeleteFunction", map[string]any{"FunctionName": arn, "Qualifier": version})
			return err
		},
	}
}

// foundVersion tells whether the function had the version before this resource was made. A version that an
// earlier deployment left behind (Serverless retains them) becomes the resource's where AWS refuses it, but
// stays when the resource goes: it was there before.
func (w *work) foundVersion(version string) bool {
	last, err := strconv.Atoi(str(w.Notes, "last"))
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(version)
	return err == nil && n <= last
}

// provision asks for the sandboxes that a version or alias is to hold warm, or gives up those that it held.
func (w *work) provision(qualifier string) error {
	m, ok := w.Props["ProvisionedConcurrencyConfig"].(map[string]any)
	if !ok && w.Old["ProvisionedConcurrencyConfig"] != nil {
		_, err := w.call("DeleteProvisionedConcurrencyConfig", map[string]any{"FunctionName": w.text("FunctionName"), "Qualifier": qualifier})
		return err
	}
	if !ok {
		return nil
	}
	_, err := w.call("PutProvisionedConcurrencyConfig", map[string]any{"FunctionName": w.text("FunctionName"), "Qualifier": qualifier,
		"ProvisionedConcurrentExecutions": m["ProvisionedConcurrentExecutions"]})
	return err
}

func lambdaAlias() *resourceType {
	input := func(w *work) map[string]any {
		in := w.in("FunctionName", "Name", "FunctionVersion", "Description")
		weights := map[string]any{}
		for _, e := range items(w.Props, "RoutingConfig", "AdditionalVersionWeights") {
			weights[str(e, "FunctionVersion")] = at(e, "FunctionWeight")
		}
		if len(weights) > 0 || w.Old["RoutingConfig"] != nil {
			in["RoutingConfig"] = map[string]any{"AdditionalVersionWeights": weights}
		}
		return in
	}
	return &resourceType{
		Name: "AWS::Lambda::Alias", Service: "lambda",
		Schema: `FunctionName!@new Name!@new FunctionVersion! Description ProvisionedConcurrencyConfig:{ProvisionedConcurrentExecutions!:int}
			RoutingConfig:{AdditionalVersionWeights!:[{FunctionVersion! FunctionWeight!:num}]}`,
		Attributes: []string{"AliasArn"},
		ID:         func(w *work) string { return w.functionARN(w.text("FunctionName")) + ":" + w.text("Name") },
		Create: func(w *work) error {
			if _, err := w.make("CreateAlias", input(w)); err != nil {
				return err
			}
			w.ID = w.Type.ID(w)
			w.Attributes["AliasArn"] = w.ID
			return w.provision(w.text("Name"))
		},
		Update: func(w *work) error {
			in := input(w)
			if in["Description"] == nil {
				in["Description"] = ""
			}
			if _, err := w.call("UpdateAlias", in); err != nil {
				return err
			}
			return w.provision(w.text("Name"))
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteAlias", w.in("FunctionName", "Name"))
			return err
		},
	}
}

func lambdaPermission() *resourceType {
	return &resourceType{
		Name: "AWS::Lambda::Permission", Service: "lambda", NameLength: 100,
		Schema: `FunctionName!@new Action!@new Principal!@new SourceArn@new SourceAccount@new EventSourceToken@new FunctionUrlAuthType@new
			PrincipalOrgID@new InvokedViaFunctionUrl@new:bool`,
		Attributes: []string{"Id"},
		Create: func(w *work) error {
			in := w.in("FunctionName", "Action", "Principal", "SourceArn", "SourceAccount", "EventSourceToken", "FunctionUrlAuthType",
				"PrincipalOrgID", "InvokedViaFunctionUrl")
			in["StatementId"] = w.Name
			in["Principal"] = awsPrincipal(in["Principal"], w.Domain)
			if _, err := w.make("AddPermission", in); err != nil {
				return err
			}
			w.ID = w.Name
			w.Attributes["Id"] = w.ID
			return nil
		},
		Delete: func(w *work) error {
			_, err := w.call("RemovePermission", map[string]any{"FunctionName": w.text("FunctionName"), "StatementId": w.ID})
			return err
		},
	}
}

func lambdaEventInvokeConfig() *resourceType {
	put := func(w *work) error {
		_, err := w.call("PutFunctionEventInvokeConfig", w.in("FunctionName", "Qualifier", "MaximumRetryAttempts",
			"MaximumEventAgeInSeconds", "DestinationConfig"))
		if err == nil {
			w.ID = w.Name
		}
		return err
	}
	return &resourceType{
		Name: "AWS::Lambda::EventInvokeConfig", Service: "lambda", NameLength: 64,
		Schema: `FunctionName!@new Qualifier!@new MaximumRetryAttempts:int MaximumEventAgeInSeconds:int
			DestinationConfig:{OnSuccess:{Destination!} OnFailure:{Destination!}}`,
		Create: put,
		Update: put,
		Delete: func(w *work) error {
			_, err := w.call("DeleteFunctionEventInvokeConfig", w.in("FunctionName", "Qualifier"))
			return err
		},
	}
}

func lambdaURL() *resourceType {
	name := func(w *work) map[string]any { return w.in("TargetFunctionArn>FunctionName", "Qualifier") }
	return &resourceType{
		Name: "AWS::Lambda::Url", Service: "lambda",
		Schema: `TargetFunctionArn!@new Qualifier@new AuthType! InvokeMode
			Cors:{AllowCredentials:bool AllowHeaders:[string] AllowMethods:[string] AllowOrigins:[string] ExposeHeaders:[string] MaxAge:int}`,
		Attributes: []string{"FunctionUrl", "FunctionArn"},
		ID: func(w *work) string {
			id := w.functionARN(w.text("TargetFunctionArn"))
			if q := w.text("Qualifier"); q != "" {
				id += ":" + q
			}
			return id
		},
		Create: func(w *work) error {
			in := w.in("AuthType", "InvokeMode", "Cors")
			maps.Copy(in, name(w))
			if _, err := w.make("CreateFunctionUrlConfig", in); err != nil {
				return err
			}
			w.ID = w.Type.ID(w)
			out, err := w.call("GetFunctionUrlConfig", name(w))
			w.Attributes["FunctionUrl"], w.Attributes["FunctionArn"] = str(out, "FunctionUrl"), str(out, "FunctionArn")
			return err
		},
		Update: func(w *work) error {
			in := w.settings(map[string]any{"Cors": map[string]any{}, "InvokeMode": "BUFFERED"}, "AuthType", "InvokeMode", "Cors")
			maps.Copy(in, name(w))
			_, err := w.call("UpdateFunctionUrlConfig", in)
			return err
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteFunctionUrlConfig", name(w))
			return err
		},
	}
}
