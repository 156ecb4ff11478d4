/** Reads the requests of a batch by the rules of the method for one machine, and finds what a batch adds to these. */
import { setImmediate } from "node:timers/promises";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { checkMessage } from "../../rpc/calls/validation.ts";
import { Violations } from "../violations.ts";
import type { RequestFailure } from "./failed-requests.ts";
import type { MachineChange, MachineOperation } from "./machine-operation.ts";

/** The requests of a batch, read. */
interface ReadBatch<Change> {
  /** The changes of those requests that are right, by the indexes of these, in order. */
  readonly changes: ReadonlyMap<number, Change>;
  /** What is wrong with the others, by their indexes. */
  readonly failures: ReadonlyMap<number, RequestFailure>;
}

/** Longest time for which other calls wait while a batch is read, in milliseconds. */
const turnMs = 5;

/** Reads all requests. Of several for one machine, the first one counts, and the others are wrong. */
export async function readBatch<Request extends Message, Change extends MachineChange>(
  operation: Pick<MachineOperation<Request, Change, unknown, unknown>, "requestSchema" | "read">,
  requests: readonly Request[],
): Promise<ReadBatch<Change>> {
  let turnEndsMs = performance.now() + turnMs;
  const changes = new Map<number, Change>();
  const failures = new Map<number, RequestFailure>();
  const indexes = new Map<string, number>();
  for (const [index, request] of requests.entries()) {
    if (performance.now() > turnEndsMs) {
      await setImmediate();
      turnEndsMs = performance.now() + turnMs;
    }
    try {
      checkOwnFields(request);
      checkMessage(operation.requestSchema, request);
      const change = operation.read(request);
      checkNamedOnce(change, indexes);
      indexes.set(change.machineId, index);
      changes.set(index, change);
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.InvalidArgument) throw error;
      failures.set(index, { error, field: "" });
    }
  }
  return { changes, failures };
}

function checkNamedOnce({ machineId }: MachineChange, indexes: ReadonlyMap<string, number>): void {
  const earlier = indexes.get(machineId);
  if (earlier === undefined) return;
  const violations = new Violations();
  violations.add(
    "machine_id",
    `names the machine of requests[${earlier}] again: a batch has one request for a machine`,
  );
  violations.assertNone();
}

/** Refuses what says something about a call, which a request of a batch is not. */
function checkOwnFields(request: Message & { readonly requestId?: string; readonly validateOnly?: boolean }): void {
  const violations = new Violations();
  if (request.requestId) violations.add("request_id", "belongs to the batch: set it there, and leave it out here");
  if (request.validateOnly)
    violations.add("validate_only", "belongs to the batch: set it there, and leave it out here");
  violations.assertNone();
}
