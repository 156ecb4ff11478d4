/** The handler of ReceiverService.CreateReceiver. */
import { X509Certificate } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CreateReceiverRequest,
  type CreateReceiverResponse,
  CreateReceiverResponseSchema,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { insertReceiver } from "../../db/queries/receiver.ts";
import { type AddressGuard, ReceiverRefusedError } from "../../receivers/allowed-address.ts";
import { eventTypes, matchesEvent } from "../../receivers/event-type.ts";
import { requestIdKey } from "../../rpc/calls/call-watch.ts";
import type { AdminContext } from "../admin-context.ts";
import { answerOnce } from "../answer-once.ts";
import { getActor } from "../authorization/caller.ts";
import { Violations } from "../violations.ts";
import { checkSecretIsNew, createReceiverSecret } from "./receiver-secret.ts";
import { toReceiver } from "./to-receiver.ts";

/**
 * Creates the handler of ReceiverService.CreateReceiver. Only the first answer has the secret; the answer stored for a
 * repeated call does not.
 */
export function createCreateReceiver(context: Pick<AdminContext, "db" | "guard" | "log">) {
  return async (request: CreateReceiverRequest, call: HandlerContext): Promise<CreateReceiverResponse> => {
    const { name, url, events, caCertificates } = request;
    checkRequest(context.guard, request);
    const secret = createReceiverSecret();
    const values = { name, url, events: [...new Set(events)], ca: caCertificates || null, secret };
    const { receiver } = await answerOnce(context, call, request, CreateReceiverResponseSchema, async (tx, actor) =>
      create(CreateReceiverResponseSchema, {
        receiver: toReceiver(await insertReceiver(tx, { ...values, createdBy: actor })),
      }),
    );
    await checkSecretIsNew(context.db, { name, secret, reason: "RECEIVER_MADE_BEFORE" });
    const requestId = call.values.get(requestIdKey);
    context.log.info({ receiver: name, events, actor: getActor(call), requestId }, "a receiver was created");
    const unmatchedEvents = events.filter((pattern) => !eventTypes.some((type) => matchesEvent([pattern], type)));
    return create(CreateReceiverResponseSchema, { ...(receiver && { receiver }), secret, unmatchedEvents });
  };
}

/** Throws `invalid_argument` with everything that the contract cannot say of URL and CAs. */
function checkRequest(guard: AddressGuard, { url, caCertificates }: CreateReceiverRequest): void {
  const violations = new Violations();
  const complaint = findUrlMistake(guard, url);
  if (complaint !== undefined) violations.add("url", complaint);
  if (caCertificates !== "" && !isPem(caCertificates)) {
    violations.add("ca_certificates", "is not one or more certificates in PEM");
  }
  violations.assertNone();
}

function findUrlMistake(guard: AddressGuard, text: string): string | undefined {
  if (!URL.canParse(text)) return "is not a URL";
  try {
    guard.checkUrl(new URL(text));
    return undefined;
  } catch (error) {
    if (error instanceof ReceiverRefusedError) return error.message;
    throw error;
  }
}

/** Returns whether the text holds certificates in PEM (RFC 7468 section 5), and all of them can be parsed. */
function isPem(text: string): boolean {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const block of blocks) new X509Certificate(block);
    return blocks.length > 0;
  } catch {
    return false;
  }
}
