/**
 * Who is signed in in this tab. The token is in memory and, if its owner wants that, in the tab's session storage:
 * never in a URL, and never in a cookie, which other sites could make the browser send.
 */
import { Role } from "@api/role_pb.js";

/** The caller as the server knows it. */
export interface Caller {
  /** As the history names it, such as "token:alice". */
  readonly actor: string;
  readonly role: Role;
}

/** What somebody is signed in with. */
export interface Credentials {
  readonly token: string;
  /** By which a new token is asked for; only from an issuer. */
  readonly refreshToken?: string | undefined;
  /** When the token is to be replaced, in milliseconds of Date.now(); undefined if it is not known. */
  readonly renewAtMs?: number | undefined;
  /** By which the issuer ends its session. */
  readonly idToken?: string | undefined;
  /** Whether it is kept for reloads of this tab. */
  readonly isKept: boolean;
}

/** State of the session. */
export type SessionState =
  /** `trouble` says why it takes longer; it is tried again. */
  | { readonly status: "starting"; readonly trouble?: string }
  /** This window has told another one, which had opened it, what the issuer sent. */
  | { readonly status: "handed-over" }
  | { readonly status: "signed-out"; readonly reason: string | undefined }
  | { readonly status: "signed-in"; readonly credentials: Credentials; readonly caller: Caller }
  /** The server does not accept the token any more. The open page stays as it is. */
  | { readonly status: "ended"; readonly reason: string; readonly caller: Caller };

const storageName = "bmaas.session";

/** The session of a tab. */
export class Session {
  #state: SessionState = { status: "starting" };
  readonly #listeners = new Set<() => void>();

  get state(): SessionState {
    return this.#state;
  }

  /** The token to send; undefined if nobody is signed in. */
  get token(): string | undefined {
    return this.#state.status === "signed-in" ? this.#state.credentials.token : undefined;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Enters the session of a caller that the server has recognised. */
  signIn(credentials: Credentials, caller: Caller): void {
    if (credentials.isKept) sessionStorage.setItem(storageName, JSON.stringify(credentials));
    else sessionStorage.removeItem(storageName);
    this.#set({ status: "signed-in", credentials, caller });
  }

  /** Says why it is not known yet who is signed in. */
  delay(trouble: string): void {
    this.#set({ status: "starting", trouble });
  }

  /** Ends the session because the server refused `token`. A session that has another token by now goes on. */
  end(token: string, reason: string): void {
    if (this.#state.status !== "signed-in" || this.#state.credentials.token !== token) return;
    sessionStorage.removeItem(storageName);
    this.#set({ status: "ended", reason, caller: this.#state.caller });
  }

  /** Leaves the session to another window. */
  handOver(): void {
    this.#set({ status: "handed-over" });
  }

  /** Forgets everything. */
  signOut(reason?: string): void {
    sessionStorage.removeItem(storageName);
    this.#set({ status: "signed-out", reason });
  }

  /** Returns what was kept before the tab was reloaded, or undefined. */
  findKept(): Credentials | undefined {
    try {
      const kept = JSON.parse(sessionStorage.getItem(storageName) ?? "null") as Credentials | null;
      return typeof kept?.token === "string" ? kept : undefined;
    } catch {
      return undefined;
    }
  }

  #set(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

/** The session of this tab. */
export const session = new Session();

/**
 * Resolves to whether this caller is signed in: at once, or when somebody has signed in after the session ended, or has
 * given it up.
 */
export async function waitForCaller({ actor }: Caller): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => {
    if (session.state.status !== "ended") resolve();
  };
  const unsubscribe = session.subscribe(look);
  look();
  await promise;
  unsubscribe();
  return session.state.status === "signed-in" && session.state.caller.actor === actor;
}

/** Names of the roles, as settings and the command line have them. */
export const roleNames: Readonly<Record<Role, string>> = {
  [Role.UNSPECIFIED]: "none",
  [Role.VIEWER]: "viewer",
  [Role.OPERATOR]: "operator",
  [Role.ADMIN]: "admin",
};
