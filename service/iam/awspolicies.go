package iam

import (
	"encoding/json"
	"time"
)

// awsPolicies are the policies of AWS's own that users of functions attach, as AWS publishes them: what
// each allows, on every resource.
var awsPolicies = []struct {
	path, name string
	actions    []string
}{
	{"/", "AdministratorAccess", []string{"*"}},
	{"/", "AWSLambda_FullAccess", []string{"cloudformation:DescribeStacks", "cloudformation:ListStackResources", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "kms:ListAliases", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoles", "lambda:*", "logs:DescribeLogGroups", "states:DescribeStateMachine", "states:ListStateMachines", "tag:GetResources", "xray:GetTraceSummaries", "xray:BatchGetTraces"}},
	{"/", "AmazonS3FullAccess", []string{"s3:*", "s3-object-lambda:*"}},
	{"/", "AmazonS3ReadOnlyAccess", []string{"s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"}},
	{"/", "AWSXRayDaemonWriteAccess", []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:GetSamplingStatisticSummaries"}},
	{"/service-role/", "AWSLambdaBasicExecutionRole", []string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}},
	{"/service-role/", "AWSLambdaVPCAccessExecutionRole", []string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"}},
	{"/service-role/", "AWSLambdaSQSQueueExecutionRole", []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}},
	{"/service-role/", "AWSLambdaDynamoDBExecutionRole", []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}},
	{"/service-role/", "AWSLambdaKinesisExecutionRole", []string{"kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}},
	{"/service-role/", "AWSLambdaRole", []string{"lambda:InvokeFunction"}},
	{"/service-role/", "AmazonAPIGatewayPushToCloudWatchLogs", []string{"logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents", "logs:GetLogEvents", "logs:FilterLogEvents"}},
}

// awsPolicyDate stands for the dates of AWS's own policies, which nothing here depends on.
var awsPolicyDate = time.Date(2015, 4, 9, 0, 0, 0, 0, time.UTC)

// awsPolicy returns one of AWS's own policies as a row.
func awsPolicy(path, name string) (policyRow, bool) {
	for _, p := range awsPolicies {
		if p.path != path || p.name != name {
			continue
		}
		document, _ := json.Marshal(map[string]any{ // of strings only
			"Version":   "2012-10-17",
			"Statement": []any{map[string]any{"Effect": "Allow", "Action": p.actions, "Resource": "*"}},
		})
		return policyRow{
			Name: name, Path: path, ID: "ANPA" + name, Created: awsPolicyDate, Updated: awsPolicyDate, Default: "v1",
			Versions: []versionRow{{"v1", string(document), awsPolicyDate}},
		}, true
	}
	return policyRow{}, false
}
