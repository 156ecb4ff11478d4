/**
 * Connections that require PostgreSQL to know the password as well. SCRAM (RFC 5802) proves that on both sides, without
 * sending the password.
 *
 * Without it, another process that listens on the port can ask for the password, or ask for nothing and pass for the
 * database. libpq's `require_auth` does the same, and the same parameter of the URL requests it here.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import pg from "pg";

/** The parameter of a URL that requires SCRAM, and its only value. */
const requireScram = { name: "require_auth", value: "scram-sha-256" } as const;

/** Returns the class of clients with which to connect to this URL. */
export function chooseClient(url: string): typeof pg.Client {
  const isWanted = new URL(url).searchParams.get(requireScram.name) === requireScram.value;
  return isWanted ? ScramClient : pg.Client;
}

/**
 * Returns the URL of an embedded PostgreSQL with the parameter that requires SCRAM. Disables TLS, which that server
 * does not have, whatever PGSSLMODE sets for other servers.
 */
export function withScram(url: string): string {
  const wanting = new URL(url);
  wanting.searchParams.set(requireScram.name, requireScram.value);
  wanting.searchParams.set("sslmode", "disable");
  return wanting.href;
}

class ScramClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    // pg has the connection, but its types lack it. These listeners run before pg's own, so they close the connection
    // before pg can answer.
    const { connection } = this as unknown as { readonly connection: EventEmitter & { readonly stream: Socket } };
    let isProved = false;
    const refuse = () =>
      connection.stream.destroy(
        new Error("the process that listens there did not prove that it is the database, so no password was sent"),
      );
    connection.on("authenticationCleartextPassword", refuse);
    connection.on("authenticationMD5Password", refuse);
    // pg ends the connection if the proof is wrong.
    connection.on("authenticationSASLFinal", () => {
      isProved = true;
    });
    // The first one ends the login.
    connection.once("readyForQuery", () => {
      if (!isProved) refuse();
    });
  }
}
