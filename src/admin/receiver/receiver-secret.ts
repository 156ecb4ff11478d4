/** Secrets of receivers, in the form of Standard Webhooks, and the error for a call that asks for one twice. */
import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Database } from "../../db/client.ts";
import { getReceiverToCall } from "../../db/queries/receiver.ts";
import { errorInfo } from "../../rpc/wire/error-details.ts";

/** Creates a secret: "whsec_" and the base64 of 256 random bits. */
export function createReceiverSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

/**
 * Throws `already_exists` unless the secret is stored: then the call repeats an earlier one, which stored another
 * secret.
 */
export async function checkSecretIsNew(
  db: Database,
  { name, secret, reason }: { readonly name: string; readonly secret: string; readonly reason: string },
): Promise<void> {
  const { secrets } = await getReceiverToCall(db, name);
  if (secrets.includes(secret)) return;
  throw new ConnectError(
    `a secret of receiver ${name} was already created under this request id, and cannot be shown again: ` +
      "if it is lost, add another one and retire the old ones",
    Code.AlreadyExists,
    undefined,
    [errorInfo(reason, { name })],
  );
}
