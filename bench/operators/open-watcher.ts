/**
 * A watcher of machines that decodes nothing. In the field, each watcher has a machine of its own; here a thousand of
 * them share two cores with the server, and Connect's client would take more time for an event than the server does.
 */
import { Agent, request } from "node:http";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { WatchMachinesRequestSchema } from "../../gen/bmaas/admin/v1/machine_service_pb.js";
import type { ServerAccess } from "../../src/cli/operator/find-server.ts";

/** Time after which a watcher tries again that a server had no room for, in milliseconds. */
const retryMs = 100;

/** Length of a machine's id, of which a piece may have a part. */
const idLength = 36;

/**
 * Watches on a connection of its own until the returned function is called, and passes on what it gets, each time with
 * the end of what came before. Like every client, it tries again when the server ends the stream.
 */
export function openWatcher(server: ServerAccess, resumeToken: string, onText: (text: string) => void): () => void {
  const ended = new AbortController();
  const body = encodeEnvelope(
    0,
    toBinary(WatchMachinesRequestSchema, create(WatchMachinesRequestSchema, { resumeToken })),
  );
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/connect+proto" };
  const open = () => {
    const options = { method: "POST", headers, agent: new Agent(), signal: ended.signal };
    const call = request(`${server.url}/bmaas.admin.v1.MachineService/WatchMachines`, options, (response) => {
      if (response.statusCode !== 200) throw new Error(`a watch was answered with status ${response.statusCode}`);
      let end = "";
      response.setEncoding("latin1").on("data", (piece: string) => {
        const text = end + piece;
        onText(text);
        end = text.slice(-idLength);
      });
      response.once("error", () => {});
      response.once("close", () => {
        if (!ended.signal.aborted) setTimeout(open, retryMs);
      });
    });
    call.once("error", (error) => {
      if (!ended.signal.aborted) throw error;
    });
    call.end(body);
  };
  open();
  return () => ended.abort();
}
