/** Requests and responses of HTTP/1.1 whose errors end nothing but themselves. */
import { IncomingMessage, type ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * A request that listens for its own errors for its whole life. Node emits "error" on a request whose connection is reset, also when
 * its answer is out and whoever served it has taken his listeners off, and an error that nobody listens for ends the process. Whoever
 * reads the body listens as well.
 */
class Http1Request extends IncomingMessage {
  constructor(socket: Socket) {
    super(socket);
    this.on("error", ignore);
  }
}

/** A response that does the same; Node emits "error" on one that is written to when it has ended. */
class Http1Response<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  constructor(...options: ConstructorParameters<typeof ServerResponse<Request>>) {
    super(...options);
    this.on("error", ignore);
  }
}

/** Options of any server of HTTP/1.1. */
export const http1Messages = {
  IncomingMessage: Http1Request,
  ServerResponse: Http1Response,
} satisfies ServerOptions;

/** The socket's own error, of which its server is told. */
function ignore(): void {}
