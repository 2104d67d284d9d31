// Package sts is the Security Token Service: who a caller is, and temporary credentials of roles.
//
// It stores nothing. A session token carries its session, sealed with the cloud's master key
// (AES-256-GCM), so any server that holds the key can open it: the secret, the identity and the end of
// its time. AssumeRoleWithSAML, AssumeRoleWithWebIdentity, GetSessionToken and GetFederationToken are not
// implemented, nor are session policies and session tags.
package sts

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/lang/policy"
	"lambent/service"
)

// Roles is what STS asks of IAM.
type Roles interface {
	// RoleTrust returns the id, trust policy and longest session in seconds of the role with that ARN.
	RoleTrust(ctx context.Context, roleARN string) (id, document string, maxSeconds int32, found bool, err error)
}

// Service answers the operations of STS.
type Service struct {
	roles Roles
	seal  cipher.AEAD
}

// New returns the service. The master key has 32 bytes.
func New(roles Roles, masterKey []byte) (*Service, error) {
	block, err := aes.NewCipher(masterKey)
	if err != nil {
		return nil, fmt.Errorf("sts: master key: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	return &Service{roles, seal}, err
}

// Service lists the operations.
func (s *Service) Service() service.Service {
	return service.Service{API: apiModel(), Operations: []service.Operation{
		service.Op("GetCallerIdentity", s.getCallerIdentity).Public(),
		service.Op("GetAccessKeyInfo", s.getAccessKeyInfo),
		// The role's trust policy is the permission, asked below: an identity policy alone never suffices.
		service.On(service.Op("AssumeRole", s.assumeRole), func(_ cloud.Caller, in *AssumeRoleInput) []string {
			return []string{cloud.Val(in.RoleArn)}
		}),
	}}
}

func (s *Service) getCallerIdentity(_ context.Context, c cloud.Caller, _ *GetCallerIdentityInput) (*GetCallerIdentityOutput, error) {
	return &GetCallerIdentityOutput{UserId: &c.UserID, Account: &c.Account, Arn: &c.ARN}, nil
}

func (s *Service) getAccessKeyInfo(_ context.Context, c cloud.Caller, in *GetAccessKeyInfoInput) (*GetAccessKeyInfoOutput, error) {
	if *in.AccessKeyId != c.AccessKeyID {
		return nil, cloud.NotImplemented("GetAccessKeyInfo for keys other than the caller's")
	}
	return &GetAccessKeyInfoOutput{Account: &c.Account}, nil
}

var (
	roleARNForm     = regexp.MustCompile(`^arn:aws[\w-]*:iam::\d{12}:role/.+$`)
	sessionNameForm = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// maxChained is the longest session of a role assumed by the session of another.
const maxChained = 3600

func (s *Service) assumeRole(ctx context.Context, c cloud.Caller, in *AssumeRoleInput) (*AssumeRoleOutput, error) {
	arn, name := cloud.Val(in.RoleArn), cloud.Val(in.RoleSessionName)
	if in.Policy != nil || in.PolicyArns != nil || in.Tags != nil || in.TransitiveTagKeys != nil || in.SerialNumber != nil || in.SourceIdentity != nil || in.ProvidedContexts != nil {
		return nil, cloud.NotImplemented("AssumeRole with session policies, session tags, a source identity, contexts or MFA")
	}
	if !roleARNForm.MatchString(arn) {
		return nil, cloud.Faultf("ValidationError", "%s is invalid", arn)
	}
	if !sessionNameForm.MatchString(name) {
		return nil, cloud.Faultf("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", name)
	}
	id, document, maxSeconds, found, err := s.roles.RoleTrust(ctx, arn)
	if err != nil {
		return nil, err
	}
	role, _ := cloud.ParseARN(arn)
	if trusted, err := trusts(document, role.Account, c, cloud.Val(in.ExternalId)); err != nil {
		return nil, err
	} else if !found || !trusted { // AWS does not tell the two apart
		return nil, cloud.Faultf("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.ARN, arn).WithStatus(403)
	}
	seconds := cloud.Or(in.DurationSeconds, 3600)
	if seconds > maxSeconds {
		return nil, cloud.Faultf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if c.RoleARN != "" && seconds > maxChained {
		return nil, cloud.Faultf("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	creds, err := s.issue(arn, id, name, c.Now.Add(time.Duration(seconds)*time.Second))
	if err != nil {
		return nil, err
	}
	return &AssumeRoleOutput{
		Credentials:     &Credentials{&creds.AccessKeyID, &creds.SecretAccessKey, &creds.SessionToken, &creds.Expires},
		AssumedRoleUser: &AssumedRoleUser{new(id + ":" + name), new(sessionARN(arn, name))},
	}, nil
}

// trusts asks the trust policy of a role in account. The root key of that account passes.
func trusts(document, account string, c cloud.Caller, externalID string) (bool, error) {
	if document == "" {
		return false, nil
	}
	p, err := policy.Parse(document, policy.Trust)
	if err != nil {
		return false, fmt.Errorf("sts: stored trust policy: %w", err)
	}
	known := map[string][]string{"aws:principalarn": {c.ARN}, "aws:principalaccount": {c.Account}}
	if externalID != "" {
		known["sts:externalid"] = []string{externalID}
	}
	who := policy.Principals{Account: c.Account, ARN: c.ARN, RoleARN: c.RoleARN}
	if c.Via != "" {
		who = policy.Principals{Service: c.Via}
	}
	d := policy.Evaluate(policy.Request{Action: "sts:AssumeRole", Resource: "*", Principal: who, Context: known}, p)
	return d == policy.Allow || c.Root && c.Account == account && d != policy.Deny, nil
}

// SessionCredentials are temporary credentials of a role.
type SessionCredentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// ErrNotTrusted says that a role does not exist or does not trust the service that wants to assume it.
var ErrNotTrusted = errors.New("the role cannot be assumed by the service")

// ForService returns credentials of a role for one of the cloud's own services ("lambda.amazonaws.com"),
// which the role's trust policy must name.
func (s *Service) ForService(ctx context.Context, principal, roleARN, sessionName string, now time.Time, lasts time.Duration) (c SessionCredentials, err error) {
	id, document, _, found, err := s.roles.RoleTrust(ctx, roleARN)
	if err != nil {
		return c, err
	}
	trusted, err := trusts(document, "", cloud.Caller{Via: principal}, "")
	if err != nil {
		return c, err
	}
	if !found || !trusted {
		return c, fmt.Errorf("%w: %s by %s", ErrNotTrusted, roleARN, principal)
	}
	return s.issue(roleARN, id, sessionName, now.Add(lasts))
}

// sessionARN is the identity of a role's session: the role's path is left out.
func sessionARN(roleARN, session string) string {
	a, _ := cloud.ParseARN(roleARN)
	role := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	return "arn:aws:sts::" + a.Account + ":assumed-role/" + role + "/" + session
}

// session is what a token carries.
type session struct {
	Key     string `json:"k"` // the access key id that the token belongs to
	Secret  string `json:"s"`
	RoleARN string `json:"r"`
	RoleID  string `json:"i"`
	Name    string `json:"n"`
	Expires int64  `json:"e"` // Unix seconds
}

// tokenFormat is the first byte of a token's bytes.
const tokenFormat = 1

func (s *Service) issue(roleARN, roleID, name string, expires time.Time) (c SessionCredentials, err error) {
	var id [10]byte
	var secret [30]byte
	rand.Read(id[:])
	rand.Read(secret[:])
	c.AccessKeyID = "ASIA" + base32.StdEncoding.EncodeToString(id[:])
	c.SecretAccessKey = base64.StdEncoding.EncodeToString(secret[:])
	c.Expires = expires.Truncate(time.Second)
	plain, err := json.Marshal(session{c.AccessKeyID, c.SecretAccessKey, roleARN, roleID, name, c.Expires.Unix()})
	if err != nil {
		return c, err
	}
	sealed := make([]byte, 1+s.seal.NonceSize(), 1+s.seal.NonceSize()+len(plain)+s.seal.Overhead())
	sealed[0] = tokenFormat
	rand.Read(sealed[1:])
	sealed = s.seal.Seal(sealed, sealed[1:], plain, nil)
	c.SessionToken = base64.StdEncoding.EncodeToString(sealed)
	return c, nil
}

var (
	// ErrToken says that a session token is not of this cloud or not of the access key that it came with.
	ErrToken = errors.New("the security token included in the request is invalid")

	// ErrExpired says that a session is over.
	ErrExpired = errors.New("the security token included in the request is expired")
)

// maxToken bounds a token's characters before it is decoded.
const maxToken = 8 << 10

// Open returns the secret and the identity of the session that a token carries.
func (s *Service) Open(accessKeyID, token string, now time.Time) (secret string, identity cloud.Caller, err error) {
	if len(token) > maxToken {
		return "", identity, ErrToken
	}
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(b) < 1+s.seal.NonceSize() || b[0] != tokenFormat {
		return "", identity, ErrToken
	}
	nonce, sealed := b[1:1+s.seal.NonceSize()], b[1+s.seal.NonceSize():]
	plain, err := s.seal.Open(nil, nonce, sealed, nil)
	if err != nil {
		return "", identity, ErrToken
	}
	var is session
	if err := json.Unmarshal(plain, &is); err != nil || is.Key != accessKeyID {
		return "", identity, ErrToken
	}
	if now.Unix() >= is.Expires {
		return "", identity, ErrExpired
	}
	a, ok := cloud.ParseARN(is.RoleARN)
	if !ok {
		return "", identity, ErrToken
	}
	return is.Secret, cloud.Caller{
		Account: a.Account, ARN: sessionARN(is.RoleARN, is.Name), UserID: is.RoleID + ":" + is.Name, AccessKeyID: accessKeyID, RoleARN: is.RoleARN,
	}, nil
}
