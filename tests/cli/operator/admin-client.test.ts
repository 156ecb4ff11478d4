import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { connectOperator } from "../../../src/cli/operator/admin-client.ts";
import { loadConfig } from "../../../src/config/config.ts";

test("a server on this machine is not asked to compress its answers, and another one is", async () => {
  const asked: IncomingHttpHeaders[] = [];
  const server = createServer(({ headers }, response) => {
    asked.push(headers);
    response.writeHead(403).end();
  }).listen(0, "0.0.0.0");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    // The last one is no address of this machine alone, but leads to it.
    for (const host of ["127.0.0.1", "localhost", "0.0.0.0"]) {
      const url = `http://${host}:${port}`;
      const settings = { BMAAS_ADMIN_URL: url, BMAAS_ADMIN_TOKEN: "t".repeat(43), BMAAS_ADMIN_PLAINTEXT: "on" };
      const operator = await connectOperator(loadConfig(settings));
      await expect(operator.client(MachineService).listMachines({})).rejects.toThrow();
    }
    expect(asked.map((headers) => headers["accept-encoding"])).toEqual([undefined, undefined, "gzip,br"]);
  } finally {
    server.close();
  }
});
