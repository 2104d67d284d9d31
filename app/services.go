package app

import (
	"lambent/gateway"
	"lambent/service"
	"lambent/service/iam"
	"lambent/service/logs"
	"lambent/service/s3"
	"lambent/service/sts"
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

	p.gateway, err = gateway.New(gateway.Config{
		Services: []service.Service{
			iamService.Service(),
			logsService.Service(),
			s3Service.Service(),
			stsService.Service(),
		},
		Keys:          &keys{root: p.key, sessions: stsService},
		Authorizer:    iamService,
		Log:           p.log,
		Domain:        p.domain,
		Region:        p.config.Region,
		Registry:      p.registry,
		QuietRequests: !p.config.LogRequests,
	})
	return err
}
