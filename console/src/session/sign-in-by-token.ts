/** Signs in with a token, and says in words why a token is not accepted. */
import { Code, ConnectError } from "@connectrpc/connect";
import { identify } from "./identify.ts";
import { reasonOf } from "./reason-of.ts";
import { type Credentials, session } from "./session.ts";

/** Syntax of a bearer token (RFC 6750 section 2.1), as the server reads it. */
const tokenSyntax = /^[\w.~+/-]{1,8192}=*$/;

/** What is in the way: the token is not accepted, it is and has no role, or somebody cannot be asked now. */
export type SignInTrouble = "refused" | "role" | "away";

/** A token is not accepted, or the server cannot be asked. The message is a sentence for people. */
export class SignInError extends Error {
  override readonly name = "SignInError";
  readonly kind: SignInTrouble;
  constructor(message: string, kind: SignInTrouble) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Signs in, unless it is not wanted any more once the server has answered. Throws SignInError, and then nothing has
 * changed.
 */
export async function signInWith(credentials: Credentials, isWanted = () => true): Promise<void> {
  if (!tokenSyntax.test(credentials.token)) {
    throw new SignInError("This is no token: a token has no spaces, and no letters outside of ASCII.", "refused");
  }
  try {
    const caller = await identify(credentials.token);
    if (isWanted()) session.signIn(credentials, caller);
  } catch (error) {
    throw toSignInError(error);
  }
}

function toSignInError(error: unknown): SignInError {
  const { code, rawMessage } = ConnectError.from(error);
  switch (code) {
    case Code.Unauthenticated:
      return new SignInError(`The server does not accept this token: ${rawMessage}.`, "refused");
    case Code.PermissionDenied:
      return new SignInError(`The token is valid, but its role is too small for the console: ${rawMessage}.`, "role");
    case Code.ResourceExhausted:
      return new SignInError(`The server waits: ${rawMessage}.`, "away");
    default:
      return new SignInError(`The server cannot be asked: ${reasonOf(error)}.`, "away");
  }
}
