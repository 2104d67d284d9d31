package app

import (
	"lambent/gateway"
	"lambent/service"
	"lambent/service/apigateway"
	"lambent/service/apigatewayv2"
	"lambent/service/cloudformation"
	"lambent/service/ecr"
	"lambent/service/eventbridge"
	"lambent/service/iam"
	"lambent/service/lambda"
	"lambent/service/logs"
	"lambent/service/s3"
	"lambent/service/sts"
	"lambent/source/schedule"
)

// openServices builds every service and the gateway before them. This list is all that is in the binary.
func (p *cloudParts) openServices() error {
	iamService := iam.New(p.store.In("iam"))
	stsService, err := sts.New(iamService, p.master)
	if err != nil {
		return err
	}
	logsService := logs.New(p.store.In("logs"))
	p.background("logs", logsService.Run)
	s3Service := s3.New(p.store.In("s3"), p.blobs, p.domain)

	invoker, err := p.openInvoker(&functionCredentials{stsService}, &functionLogs{logsService})
	if err != nil {
		return err
	}
	lambdaService, err := lambda.New(lambda.Config{
		KV: p.store.In("lambda"), Blobs: p.blobs, Key: p.derivedKey("lambda environment variables"), Invoker: invoker, Objects: &codeObjects{s3Service}, Roles: &roles{stsService}, Identities: iamService, Domain: p.domain, Members: p.members(), Log: p.log,
	})
	if err != nil {
		return err
	}
	p.background("lambda", lambdaService.Run)
	if err := p.registry.Register(invokeMetrics{invoker, lambdaService.AsyncStats}); err != nil {
		return err
	}
	httpAPIs := apigatewayv2.New(p.store.In("apigatewayv2"), p.domain, &apiInvoker{lambdaService})
	restAPIs := apigateway.New(p.store.In("apigateway"), p.domain, &apiInvoker{lambdaService}, httpAPIs)
	timers := schedule.NewTimers(p.store.In("schedule"))
	rules := eventbridge.New(p.store.In("eventbridge"), timers)
	p.background("schedule", schedule.New(timers, rules, &eventInvoker{lambdaService}, p.log).Run)
	others := &lateCaller{} // the gateway, once it is there
	stacks := cloudformation.New(p.store.In("cloudformation"), others, cloudformation.Config{Domain: p.domain, Node: p.node(), Log: p.log})
	p.resourceTypes = stacks.Types()
	p.background("cloudformation", stacks.Run)

	p.services = []service.Service{
		restAPIs.Service(),
		httpAPIs.Service(),
		stacks.Service(),
		ecr.New().Service(),
		rules.Service(),
		iamService.Service(),
		lambdaService.Service(),
		logsService.Service(),
		s3Service.Service(),
		stsService.Service(),
	}
	p.gateway, err = gateway.New(gateway.Config{
		Services:      p.services,
		Keys:          &keys{root: p.key, sessions: stsService},
		Authorizer:    iamService,
		Log:           p.log,
		Domain:        p.domain,
		Region:        p.config.Region,
		Registry:      p.registry,
		Tracer:        p.tracer,
		QuietRequests: !p.config.LogRequests,
		Admin:         p.admin(),
	})
	others.caller = p.gateway
	return err
}
