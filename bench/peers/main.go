// Command peers serves heartbeats over gRPC with TLS in the way that servers in Go do, for comparison with bmaas. It
// prints its port on a line when it serves, and stops at SIGTERM.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"bmaas.invalid/bench/peers/gen/cloud/bmaas/server/api"
)

func main() {
	storeName := flag.String("store", "", "what counts a heartbeat: three-transactions, one-statement or nothing")
	databaseURL := flag.String("database-url", "", "URL of the PostgreSQL database")
	certFile := flag.String("cert", "", "file of the server's certificate")
	keyFile := flag.String("key", "", "file of the certificate's key")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *storeName, *databaseURL, *certFile, *keyFile); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, storeName, databaseURL, certFile, keyFile string) error {
	service, err := newService(ctx, storeName, databaseURL)
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate},
		// Agents sign their certificates themselves. The handshake proves that they have the key.
		ClientAuth:       tls.RequireAnyClientCert,
		VerifyConnection: requireEd25519,
	})))
	api.RegisterAgentCallbackServer(server, service)
	context.AfterFunc(ctx, server.Stop)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func requireEd25519(state tls.ConnectionState) error {
	if _, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok {
		return errors.New("the key of the client's certificate is no Ed25519 key")
	}
	return nil
}
