/**
 * Starts servers under test in this process. The suite wants a process for each way of serving, and gives it ten
 * seconds; what it starts is relay.js, which only passes on to the host what the suite says, so that all is loaded and
 * compiled once.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { prepareClose } from "../../src/rpc/connections/close-listener.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.js";
import { createServerUnderTest, type LaneSetting } from "./server.ts";

/** Where relays find the host. Disposed of, it lets go of all relays, and so ends their servers. */
export interface Host extends AsyncDisposable {
  readonly port: number;
}

/** Of what stands before each message, big-endian. */
const lengthBytes = 4;

/** Opens a host whose servers all have the same setting of the lane. */
export async function openHost(lane: LaneSetting): Promise<Host> {
  const relays = new Set<Socket>();
  const host = createServer((relay) => {
    relays.add(relay);
    relay.once("close", () => relays.delete(relay));
    void serve(relay, lane);
  });
  host.listen(0, "127.0.0.1");
  await once(host, "listening");
  const { port } = host.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      host.close();
      for (const relay of relays) relay.destroy();
    },
  };
}

/** Starts the server that a relay asks for, says where, and ends it when the relay is gone. */
async function serve(relay: Socket, lane: LaneSetting): Promise<void> {
  const asked = fromBinary(ServerCompatRequestSchema, await readFrame(relay));
  const listener = createServerUnderTest(asked, lane, pino({ level: "warn" }, pino.destination(2)));
  relay.once("close", prepareClose(listener));
  await listener.listen({ host: "127.0.0.1", port: 0 });
  const { address, port } = listener.server.address() as AddressInfo;
  const pemCert = asked.serverCreds?.cert ?? new Uint8Array();
  const answer = create(ServerCompatResponseSchema, { host: address, port, pemCert });
  relay.write(frame(toBinary(ServerCompatResponseSchema, answer)));
}

/** The one message that a relay sends; what it sends after that is nothing. */
function readFrame(relay: Socket): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    relay.on("error", reject).on("data", (piece) => {
      received = Buffer.concat([received, piece]);
      const end = received.length < lengthBytes ? Number.POSITIVE_INFINITY : lengthBytes + received.readUInt32BE();
      if (received.length >= end) resolve(received.subarray(lengthBytes, end));
    });
  });
}

function frame(message: Uint8Array): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}
