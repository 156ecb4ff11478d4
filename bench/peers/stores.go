package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// openPool returns a pool of as many connections as are fastest with a store: 16 with three transactions, as in grpc-js,
// and 32 with one statement.
func openPool(ctx context.Context, databaseURL string, connections int32) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	config.MinConns, config.MaxConns = connections, connections
	return pgxpool.NewWithConfig(ctx, config)
}

const (
	readKey = `select public_key from agent_started where machine_id = $1`

	countHeartbeat = `
insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
values ($1, now(), now(), now() + interval '90 seconds')
on conflict (machine_id) do update
  set heartbeat_at = excluded.heartbeat_at, quiet_until = excluded.quiet_until`

	readPending = `
select request.request
  from os_installation_request request left join os_installation_report report using (machine_id)
 where request.machine_id = $1 and (report.generation is null or request.generation > report.generation)
 order by request.generation desc limit 1`

	countAndRead = `
with counted as (
  insert into agent_heartbeat (machine_id, heartbeat_at, alive_since, quiet_until)
  select machine_id, now(), now(), now() + interval '90 seconds' from agent_started
   where machine_id = $1 and public_key = $2
  on conflict (machine_id) do update
    set heartbeat_at = excluded.heartbeat_at, quiet_until = excluded.quiet_until
  returning machine_id)
select pending.request
  from counted left join lateral (
    select request.request
      from os_installation_request request left join os_installation_report report using (machine_id)
     where request.machine_id = counted.machine_id
       and (report.generation is null or request.generation > report.generation)
     order by request.generation desc limit 1) pending on true`
)

// threeTransactions authenticates the agent, counts the heartbeat and reads what is pending in a transaction each, as
// the first server of the field's agents did.
type threeTransactions struct{ pool *pgxpool.Pool }

func (s threeTransactions) count(
	ctx context.Context, machineID pgtype.UUID, publicKey ed25519.PublicKey,
) (pending []byte, err error) {
	var registered []byte
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		return ignoreNoRows(tx.QueryRow(ctx, readKey, machineID).Scan(&registered))
	})
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(registered, publicKey) {
		return nil, errUnknown
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, countHeartbeat, machineID)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		return ignoreNoRows(tx.QueryRow(ctx, readPending, machineID).Scan(&pending))
	})
	return pending, err
}

// oneStatement does the same in one statement that commits by itself.
type oneStatement struct{ pool *pgxpool.Pool }

func (s oneStatement) count(
	ctx context.Context, machineID pgtype.UUID, publicKey ed25519.PublicKey,
) (pending []byte, err error) {
	err = s.pool.QueryRow(ctx, countAndRead, machineID, []byte(publicKey)).Scan(&pending)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errUnknown
	}
	return pending, err
}

func ignoreNoRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}
