/** Whose failure an error in the midst of a stream is. */
import { Code, createContextValues, type StreamResponse } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { createErrorInterceptor, createErrorMapper } from "../../../src/rpc/calls/error-mapping.ts";
import { createCollectingLog, type LogLine } from "../../support/server.ts";

/** Begins a stream whose handler sends two messages and then fails. */
async function beginStream() {
  const logged: LogLine[] = [];
  const ending = { isDone: false };
  async function* handle() {
    try {
      yield "first";
      yield "second";
      throw new Error("the disk is full");
    } finally {
      ending.isDone = true;
    }
  }
  const mapError = createErrorMapper(() => undefined, createCollectingLog(logged));
  const method = MachineService.method.watchMachines;
  const [header, trailer] = [new Headers(), new Headers()];
  const answer = { stream: true as const, service: MachineService, method, header, trailer, message: handle() };
  const call = createErrorInterceptor(mapError)(async () => answer as unknown as StreamResponse);
  const response = await call({
    stream: true,
    service: MachineService,
    method,
    requestMethod: "POST",
    url: "http://127.0.0.1/",
    signal: new AbortController().signal,
    header,
    contextValues: createContextValues(),
    message: (async function* () {})(),
  });
  const messages = (response as StreamResponse).message[Symbol.asyncIterator]();
  expect(await messages.next()).toMatchObject({ value: "first" });
  return { messages, logged, ending };
}

test("what a handler throws is logged, and its text kept from the caller", async () => {
  const { messages, logged } = await beginStream();
  await messages.next();
  await expect(messages.next()).rejects.toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
  expect(logged).toHaveLength(1);
  expect(logged[0]).toMatchObject({ err: { message: "the disk is full" } });
});

test("what is thrown in by a reader whose connection has gone ends the handler, and is nobody's to log", async () => {
  const { messages, logged, ending } = await beginStream();
  const gone = new Error("Cannot call write after a stream was destroyed");
  await expect(messages.throw?.(gone)).rejects.toBe(gone);
  expect(ending.isDone).toBe(true);
  expect(logged).toEqual([]);
});

test("a reader that stops ends the handler", async () => {
  const { messages, logged, ending } = await beginStream();
  await messages.return?.();
  expect(ending.isDone).toBe(true);
  expect(logged).toEqual([]);
});
