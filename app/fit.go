package app

import (
	"context"
	"errors"
	"time"

	"lambent/cli"
	"lambent/cloud"
	"lambent/gateway"
	"lambent/service/sts"
)

// keys finds access keys: the root key, and the sessions that STS gave out.
type keys struct {
	root     cli.RootKey
	sessions *sts.Service
}

// Secret implements gateway.Keys.
func (k *keys) Secret(_ context.Context, accessKeyID, sessionToken string) (gateway.Key, error) {
	if accessKeyID == k.root.AccessKeyID {
		return gateway.Key{Secret: k.root.SecretAccessKey, Caller: cloud.Caller{
			Account: cloud.DefaultAccount, ARN: "arn:aws:iam::" + cloud.DefaultAccount + ":root", UserID: cloud.DefaultAccount, Root: true,
		}}, nil
	}
	if sessionToken == "" {
		return gateway.Key{}, nil
	}
	secret, who, err := k.sessions.Open(accessKeyID, sessionToken, time.Now())
	switch {
	case errors.Is(err, sts.ErrExpired):
		err = gateway.ErrExpired
	case errors.Is(err, sts.ErrToken):
		err = gateway.ErrToken
	}
	return gateway.Key{Secret: secret, Caller: who}, err
}
