/** Records what is wrong with calls of agents, apart from their heartbeats. */
import { sql } from "drizzle-orm";
import type { Database } from "../client.ts";
import { agentStarted, osInstallationRequest, refusedKey } from "../schema/index.ts";
import { refusalPeriod } from "../schema/refused-key.ts";

/** A refused call that names a machine. */
export interface RefusedCall {
  /** UUID in lower case; the machine may not exist. */
  readonly machineId: string;
  /** The key that the caller proved to hold; absent, or the machine's own, if the call has a wrong signature. */
  readonly publicKey: Uint8Array | undefined;
  /** IP address of the caller. */
  readonly address: string | undefined;
}

/**
 * Records that a call in the name of a machine was refused. Does nothing if no key is registered for the machine, or if
 * another call was recorded within `refusalPeriod`.
 */
export async function noteRefusedKey(db: Database, { machineId, publicKey, address }: RefusedCall): Promise<void> {
  const key = publicKey === undefined ? null : Buffer.from(publicKey);
  await db.execute(sql`
    insert into ${refusedKey} as stored (machine_id, public_key, address, since, seen_at, until)
    select machine_id, nullif(${key}::bytea, public_key), ${address ?? null}::text, now(), now(), now() + interval '1 hour'
      from ${agentStarted} agent
     where agent.machine_id = ${machineId}
    on conflict (machine_id) do update
      set public_key = excluded.public_key, address = excluded.address, seen_at = excluded.seen_at,
          until = excluded.until,
          since = case when stored.until < excluded.seen_at then excluded.since else stored.since end
      where stored.seen_at <= excluded.seen_at - ${sql.raw(refusalPeriod)}`);
}

/** Records that a stored request cannot be decoded, so that its agent is not given it. */
export async function noteUndecodableRequest(
  db: Database,
  { machineId, generation }: { readonly machineId: string; readonly generation: bigint },
): Promise<void> {
  await db.execute(sql`
    update ${osInstallationRequest} request set undecodable_at = now()
     where request.machine_id = ${machineId} and request.generation = ${generation}
       and (request.undecodable_at is null or request.undecodable_at <= request.last_given_at)`);
}
