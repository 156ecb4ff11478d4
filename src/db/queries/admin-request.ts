/** Calls that named a request id, and what they were answered. */
import { and, eq } from "drizzle-orm";
import type { Transaction } from "../client.ts";
import { ContentionError } from "../errors.ts";
import { adminRequest } from "../schema/index.ts";

/** A call that was made before. */
export type AdminRequestRow = typeof adminRequest.$inferSelect;

/** Who called under which id. */
export type AdminRequestKey = Pick<AdminRequestRow, "actor" | "requestId">;

/**
 * Takes the request id for this transaction, and returns undefined; or returns the earlier call that took it. Waits for one that is
 * under way. Whoever takes it must store the answer before the transaction ends.
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

/** Stores the answer of a call that this transaction took. */
export async function storeAdminResponse(tx: Transaction, call: AdminRequestKey, response: Uint8Array): Promise<void> {
  await tx.update(adminRequest).set({ response }).where(isCall(call));
}

function isCall({ actor, requestId }: AdminRequestKey) {
  return and(eq(adminRequest.actor, actor), eq(adminRequest.requestId, requestId));
}
