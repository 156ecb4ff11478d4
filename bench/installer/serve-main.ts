/** Serves one file over HTTP on the loopback, and prints the port. */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const [file = ""] = process.argv.slice(2);
const { size } = statSync(file);
const server = createServer((_request, response) => {
  response.writeHead(200, { "content-length": size, etag: `"${size}"` });
  createReadStream(file, { highWaterMark: 1024 * 1024 }).pipe(response);
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
