/** Generates load of identical calls with h2load and wrk, on persistent connections. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { toBinary, toJson } from "@bufbuild/protobuf";
import { HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { frameMessage } from "../../src/rpc/wire/grpc-frames.ts";
import { heartbeatPath } from "../load/heartbeat-call.ts";
import { request } from "./work.ts";

/** A load generator did not end. */
export class EndlessLoadError extends Error {
  override readonly name = "EndlessLoadError";
}

/** How long a program may run after the load. */
const endsInSeconds = 15;

/**
 * Runs a program to its end. h2load never ends if one of its connections opens only after the load is over, which
 * happens on a busy machine. Throws EndlessLoadError then.
 */
async function run(program: string, args: readonly string[], seconds: number): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: (seconds + endsInSeconds) * 1000 });
    return stdout;
  } catch (error) {
    if (!(error instanceof Error && "killed" in error && error.killed)) throw error;
    throw new EndlessLoadError(`${program} did not end`);
  }
}

/**
 * Sends calls to a server for some seconds, and returns the successful calls per second. Throws if any call failed, and
 * throws EndlessLoadError.
 */
export type SendLoad = (url: string, seconds: number) => Promise<number>;

/** Creates a load, with its files in `folder`. */
export type CreateLoad = (folder: string) => Promise<SendLoad>;

const connections = 32;
const streams = 16;

/** Creates a load of gRPC over HTTP/2 with h2load: 32 connections of 16 streams. */
export async function createGrpcLoad(folder: string): Promise<SendLoad> {
  const body = join(folder, "request.bin");
  await writeFile(body, frameMessage(toBinary(HeartbeatRequestSchema, request)));
  return async (url, seconds) => {
    const stdout = await run(
      "h2load",
      [
        ...["-c", connections.toString(), "-m", streams.toString(), "-D", seconds.toString()],
        ...["-H", "content-type: application/grpc+proto", "-H", "te: trailers", "-d", body],
        new URL(heartbeatPath, url).href,
      ],
      seconds,
    );
    const [, rate] = /finished in .*?, ([\d.]+) req\/s/.exec(stdout) ?? [];
    const [, succeeded, failed] = /(\d+) succeeded, (\d+) failed/.exec(stdout) ?? [];
    if (rate === undefined || failed !== "0" || succeeded === "0") throw new Error(`h2load:\n${stdout}`);
    return Number(rate);
  };
}

/** Creates a load of Connect's JSON over HTTP/1.1 with wrk: 32 connections. */
export async function createJsonLoad(folder: string): Promise<SendLoad> {
  const script = join(folder, "request.lua");
  const body = JSON.stringify(toJson(HeartbeatRequestSchema, request));
  await writeFile(
    script,
    `wrk.method = "POST"\nwrk.body = ${JSON.stringify(body)}\nwrk.headers["Content-Type"] = "application/json"\n`,
  );
  return async (url, seconds) => {
    const stdout = await run(
      "wrk",
      [...["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script], new URL(heartbeatPath, url).href],
      seconds,
    );
    const [, rate] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? [];
    if (rate === undefined || /Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk:\n${stdout}`);
    return Number(rate);
  };
}
