import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { fetchCa } from "../../../tools/netboot/boot/fetch-ca.ts";
import { giveHostsAddresses } from "../../support/several-addresses.ts";

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const digestOf = (text: string) => createHash("sha256").update(text).digest("hex");
let server: Server | undefined;

async function serve(answer: RequestListener): Promise<URL> {
  server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/ca.pem`);
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

describe("the CA that a machine fetches when it boots", () => {
  test("is the file with the digest, and comes with the server's time", async () => {
    const url = await serve((_, response) =>
      response.writeHead(200, { date: "Sun, 29 Nov 2026 22:00:00 GMT" }).end(pem),
    );
    expect(await fetchCa({ url, digest: digestOf(pem) })).toEqual({
      pem: Buffer.from(pem),
      serverTimeMs: Date.UTC(2026, 10, 29, 22),
    });
  });

  test("is refused with another digest", async () => {
    const url = await serve((_, response) => response.end("another"));
    await expect(fetchCa({ url, digest: digestOf(pem) })).rejects.toThrow(
      `has the digest sha256:${digestOf("another")}, and bmaas.ca says sha256:${digestOf(pem)}`,
    );
  });

  test("is no error page, whatever its digest", async () => {
    const url = await serve((_, response) => response.writeHead(404).end(pem));
    await expect(fetchCa({ url, digest: digestOf(pem) })).rejects.toThrow(`${url.host} answers 404 Not Found`);
  });

  test("is bounded", async () => {
    const large = "a".repeat(1024 * 1024 + 1);
    const url = await serve((_, response) => response.end(large));
    await expect(fetchCa({ url, digest: digestOf(large) })).rejects.toThrow("is larger than 1048576 bytes");
  });

  test("says why none of a host's addresses answers", async () => {
    giveHostsAddresses();
    await expect(fetchCa({ url: new URL("http://boot.example:1/ca.pem"), digest: digestOf(pem) })).rejects.toThrow(
      "cannot fetch from boot.example:1: connect ECONNREFUSED 127.0.0.1:1, connect ECONNREFUSED 127.0.0.2:1",
    );
  });

  test("says what failed where no server is", async () => {
    const url = new URL("http://127.0.0.1:1/ca.pem");
    await expect(fetchCa({ url, digest: digestOf(pem) })).rejects.toThrow(
      `cannot fetch from ${url.host}: connect ECONNREFUSED`,
    );
  });
});
