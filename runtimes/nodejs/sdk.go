package nodejs

import (
	_ "embed"
	"strconv"

	"lambent/runtimes"
	"lambent/sandbox/driver"
)

// Where a function finds the SDKs that AWS's runtimes carry: after what it and its layers bring.
const (
	sdkDir    = runtimes.RuntimeDir + "/sdk"
	oldSDKDir = runtimes.RuntimeDir + "/sdk2"
)

// lastOld is the last version of Node.js whose runtime on AWS carries the SDK's version 2, aws-sdk.
const lastOld = 16

//go:embed sdk.json
var packages []byte

// SDK is the AWS SDK for JavaScript, version 3: the clients of this cloud's services and their helpers.
func SDK() runtimes.Part {
	return runtimes.Part{
		Name: "nodejs-sdk", Use: "@aws-sdk/* for Node.js functions that do not bring it", Files: map[string][]byte{"package.json": packages}, Package: "npm",
		Command: []string{"npm", "install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"},
	}
}

// SDKv2 is its version 2, which only functions up to nodejs16.x see.
func SDKv2() runtimes.Part {
	return runtimes.Part{
		Name: "nodejs-sdk-v2", Use: "aws-sdk for functions that name nodejs16.x or older", Package: "npm",
		Files:   map[string][]byte{"package.json": []byte(`{"private": true, "dependencies": {"aws-sdk": "2.1693.0"}}` + "\n")},
		Command: []string{"npm", "install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"},
	}
}

// sdk shows the SDK to every function.
func (r *Runtime) sdk() []driver.Mount { return carried(r.shelf.Find(SDK().Name), sdkDir) }

// oldSDK shows version 2 to functions whose runtime carries it on AWS.
func (r *Runtime) oldSDK(major string) []driver.Mount {
	if n, err := strconv.Atoi(major); err != nil || n > lastOld {
		return nil
	}
	return carried(r.shelf.Find(SDKv2().Name), oldSDKDir)
}

func carried(dir, inside string) []driver.Mount {
	if dir == "" {
		return nil
	}
	return []driver.Mount{{Source: dir, Target: inside}}
}
