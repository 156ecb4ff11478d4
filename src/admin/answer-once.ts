/**
 * Makes changes safe to repeat: a call with a request id is carried out once, and its repetitions get the same answer
 * (AIP-155).
 */
import { createHash } from "node:crypto";
import { type DescMessage, fromBinary, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { Transaction } from "../db/client.ts";
import { storeAdminResponse, takeAdminRequest } from "../db/queries/admin-request.ts";
import { transact } from "../db/transact.ts";
import { badRequest } from "../rpc/wire/error-details.ts";
import type { AdminContext } from "./admin-context.ts";
import { getActor } from "./authorization/caller.ts";

/** A request that can carry a request id. */
type Repeatable = Message & { readonly requestId: string };

/**
 * Runs `work` in a transaction of its own and returns its answer. If the same caller used the request id for the same
 * request before, returns that call's answer and changes nothing. A call that fails leaves its id free. Throws
 * `invalid_argument` when the id was used for another request. Answers are stored, so they must contain no secret.
 */
export async function answerOnce<Response extends DescMessage>(
  { db }: Pick<AdminContext, "db">,
  context: Pick<HandlerContext, "method" | "service" | "values">,
  request: Repeatable,
  responseSchema: Response,
  work: (tx: Transaction, actor: string) => Promise<MessageShape<Response>>,
): Promise<MessageShape<Response>> {
  const actor = getActor(context);
  const { requestId } = request;
  if (requestId === "") return await transact(db, (tx) => work(tx, actor));
  const call = {
    actor,
    requestId: requestId.toLowerCase(),
    method: `${context.service.typeName}/${context.method.name}`,
    requestHash: hashRequest(context.method.input, request),
  };
  return await transact(db, async (tx) => {
    const earlier = await takeAdminRequest(tx, call);
    if (earlier !== undefined) {
      if (earlier.method !== call.method || !call.requestHash.equals(earlier.requestHash)) throw usedOtherwise();
      return fromBinary(responseSchema, earlier.response);
    }
    const response = await work(tx, actor);
    await storeAdminResponse(tx, call, toBinary(responseSchema, response));
    return response;
  });
}

function usedOtherwise(): ConnectError {
  const description = "was already used for another request: use a new one";
  return new ConnectError(`request_id: ${description}`, Code.InvalidArgument, undefined, [
    badRequest([{ field: "request_id", description, reason: "REQUEST_ID_REUSED" }]),
  ]);
}

/**
 * Returns a hash of the request without its request id: the same for the same fields. The entries of a map have no
 * order, and clients in Go send them in another one each time.
 */
function hashRequest<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc> & { readonly requestId: string },
): Buffer {
  const sorted = sortKeys({ ...request, requestId: "" }) as MessageShape<Desc>;
  return createHash("sha256").update(toBinary(schema, sorted)).digest();
}

/** Returns a copy of a message whose maps are in the order of their keys. The fields of messages have no order. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sortKeys(inner)]));
}
