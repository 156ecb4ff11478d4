/** Calls to the server that the page came from, by Connect, with the caller's token. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { ensureFreshToken } from "./renew.ts";
import { session } from "./session.ts";

/** Sends the token of the session, and ends the session when the server refuses it. */
const authorize: Interceptor = (next) => async (request) => {
  await ensureFreshToken();
  const { token } = session;
  if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
  const notice = (error: unknown) => {
    const { code, rawMessage } = ConnectError.from(error);
    if (token !== undefined && code === Code.Unauthenticated) session.end(token, rawMessage);
  };
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: noticeErrors(response.message, notice) } : response;
  } catch (error) {
    notice(error);
    throw error;
  }
};

/** A stream that is refused, or that ends with an error, says so while it is read. */
async function* noticeErrors<Message>(
  messages: AsyncIterable<Message>,
  notice: (error: unknown) => void,
): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (error) {
    notice(error);
    throw error;
  }
}

/** The transport of all calls. */
export const transport = createConnectTransport({
  baseUrl: window.location.origin,
  useBinaryFormat: true,
  interceptors: [authorize],
});
