package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"bmaas.invalid/bench/peers/gen/cloud/bmaas/server/api"
)

// A store counts the heartbeat of a machine whose agent holds the private key of publicKey, durably, and returns the
// installation request that is pending, encoded, or nil. Its error is errUnknown when that is not the machine's key.
type store interface {
	count(ctx context.Context, machineID pgtype.UUID, publicKey ed25519.PublicKey) ([]byte, error)
}

var errUnknown = errors.New("machine id or public key unknown")

// service answers heartbeats.
type service struct {
	api.UnimplementedAgentCallbackServer
	// store is nil when heartbeats are answered without a look at who sends them, and nothing is written.
	store store
}

func newService(ctx context.Context, storeName, databaseURL string) (*service, error) {
	switch storeName {
	case "nothing":
		return &service{}, nil
	case "three-transactions":
		pool, err := openPool(ctx, databaseURL, 16)
		return &service{store: threeTransactions{pool}}, err
	case "one-statement":
		pool, err := openPool(ctx, databaseURL, 32)
		return &service{store: oneStatement{pool}}, err
	}
	return nil, fmt.Errorf("which store? %q is none", storeName)
}

// Heartbeat implements api.AgentCallbackServer.
func (s *service) Heartbeat(ctx context.Context, request *api.HeartbeatRequest) (*api.HeartbeatResponse, error) {
	response := &api.HeartbeatResponse{NextHeartbeatAfter: durationpb.New(30 * time.Second)}
	if s.store == nil {
		return response, nil
	}
	publicKey, err := publicKeyOf(ctx)
	if err != nil {
		return nil, err
	}
	var machineID pgtype.UUID
	if err := machineID.Scan(request.GetMachineId()); err != nil {
		return nil, status.Error(codes.InvalidArgument, "the machine id is no UUID")
	}
	pending, err := s.store.count(ctx, machineID, publicKey)
	switch {
	case errors.Is(err, errUnknown):
		return nil, status.Error(codes.Unauthenticated, errUnknown.Error())
	case err != nil:
		return nil, status.Error(codes.Unavailable, err.Error())
	case pending == nil:
		return response, nil
	}
	response.InstallationRequest = &api.OSInstallationRequest{}
	if err := proto.Unmarshal(pending, response.InstallationRequest); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return response, nil
}

// publicKeyOf returns the key of the certificate with which the caller opened its connection.
func publicKeyOf(ctx context.Context) (ed25519.PublicKey, error) {
	if caller, ok := peer.FromContext(ctx); ok {
		if info, ok := caller.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			if key, ok := info.State.PeerCertificates[0].PublicKey.(ed25519.PublicKey); ok {
				return key, nil
			}
		}
	}
	return nil, status.Error(codes.Unauthenticated, "no Ed25519 client certificate")
}
