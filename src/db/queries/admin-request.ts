/** Calls that carry a request id, and their answers. */
import { and, eq } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { ContentionError } from "../errors.ts";
import { adminRequest } from "../schema/index.ts";

/** A call that was made before. */
export type AdminRequestRow = typeof adminRequest.$inferSelect;

/** The caller and the request id, which together identify a call. */
export type AdminRequestKey = Pick<AdminRequestRow, "actor" | "requestId">;

/**
 * Takes the request id for this transaction and returns undefined, or returns the earlier call that took it. Waits
 * while another transaction holds the id. A transaction that takes the id must store the answer before it ends.
 */
export async function takeAdminRequest(
  tx: Transaction,
  call: AdminRequestKey & Pick<AdminRequestRow, "method" | "requestHash">,
): Promise<AdminRequestRow | undefined> {
  const taken = await tx
    .insert(adminRequest)
    .values({ ...call, response: new Uint8Array() })
    .onConflictDoNothing()
    .returning({ requestId: adminRequest.requestId });
  if (taken.length > 0) return undefined;
  const [earlier] = await tx.select().from(adminRequest).where(isCall(call));
  if (earlier === undefined) throw new ContentionError("a request id was taken and no longer is");
  return earlier;
}

/** Stores the answer to a call whose request id this transaction took. */
export async function storeAdminResponse(tx: Transaction, call: AdminRequestKey, response: Uint8Array): Promise<void> {
  await tx.update(adminRequest).set({ response }).where(isCall(call));
}

function isCall({ actor, requestId }: AdminRequestKey) {
  return and(eq(adminRequest.actor, actor), eq(adminRequest.requestId, requestId));
}
