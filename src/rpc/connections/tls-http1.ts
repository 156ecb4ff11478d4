/** Keeps HTTP/1.1 over TLS from losing requests that come while an answer is still going out. */
import type { TLSSocket } from "node:tls";

/**
 * Has the connection read record by record. Node hands all records that came at once to its parser, also after it has stopped the
 * parser because the answer before is not out yet, and then drops the connection: a request in two records would be lost. A listener
 * for the data makes it go through the socket's own buffer instead, which stops when told to.
 */
export function readRecordByRecord(socket: TLSSocket): void {
  socket.on("data", ignore);
}

function ignore(): void {}
