/** How a call on Connect's way ended, by the reason with which Connect aborts its signal. */
import { Code, ConnectError, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { CallRecord } from "../../../src/rpc/calls/call-record.ts";
import { createCallWatch } from "../../../src/rpc/calls/call-watch.ts";

/** Returns the record of a call whose signal is aborted with `reason`. */
function recordOf(reason: unknown): CallRecord | undefined {
  const records: CallRecord[] = [];
  const ended = new AbortController();
  const context = {
    method: MachineService.method.watchMachines,
    service: MachineService,
    protocolName: "connect",
    requestHeader: new Headers(),
    responseHeader: new Headers(),
    values: createContextValues(),
    signal: ended.signal,
  } as unknown as HandlerContext;
  createCallWatch([{ onCall: (record) => void records.push(record) }]).begin(context);
  ended.abort(reason);
  expect(records).toHaveLength(1);
  return records[0];
}

const systemError = (syscall: string) =>
  Object.assign(new Error(`${syscall} ECONNRESET`), { code: "ECONNRESET", syscall });

test.each<[string, unknown, string]>([
  ["an error of the protocol", new ConnectError("no", Code.NotFound), "not_found"],
  ["a broken connection, as connect-node names it", new ConnectError("gone", Code.Aborted), "canceled"],
  ["a write to a connection that is reset", systemError("write"), "canceled"],
])("%s is nobody's failure here", (_, reason, code) => {
  expect(recordOf(reason)).toMatchObject({ code });
  expect(recordOf(reason)?.cause).toBeUndefined();
});

test.each<[string, unknown]>([
  ["an error of the program", new TypeError("x is not a function")],
  ["a connection of the server's own that fails", systemError("connect")],
])("%s is internal, and logged with its cause", (_, reason) => {
  expect(recordOf(reason)).toMatchObject({ code: "internal", cause: reason });
});
