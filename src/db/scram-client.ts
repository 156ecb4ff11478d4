/**
 * Connections to a PostgreSQL that has to know the password as well: SCRAM (RFC 5802) proves that on both sides, and
 * tells it nobody.
 *
 * Without it, whoever listens at the port can ask for the password, or ask for nothing and be taken for the database.
 * It is what libpq does by `require_auth`, and asked for by the same word in the URL.
 */
import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import pg from "pg";

/** The parameter of a URL by which it is asked for, and its one value. */
const requireScram = { name: "require_auth", value: "scram-sha-256" } as const;

/** What to open connections with for this URL. */
export function chooseClient(url: string): typeof pg.Client {
  const isWanted = new URL(url).searchParams.get(requireScram.name) === requireScram.value;
  return isWanted ? ScramClient : pg.Client;
}

/** The URL with what asks for SCRAM. */
export function withScram(url: string): string {
  const wanting = new URL(url);
  wanting.searchParams.set(requireScram.name, requireScram.value);
  return wanting.href;
}

class ScramClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    // pg has it, its types do not. What is heard first here has closed the connection before pg can answer.
    const { connection } = this as unknown as { readonly connection: EventEmitter & { readonly stream: Socket } };
    let isProved = false;
    const refuse = () =>
      connection.stream.destroy(
        new Error("whoever listens there does not prove to be the database: no password was sent"),
      );
    connection.on("authenticationCleartextPassword", refuse);
    connection.on("authenticationMD5Password", refuse);
    // A proof that is wrong ends the connection.
    connection.on("authenticationSASLFinal", () => {
      isProved = true;
    });
    connection.on("readyForQuery", () => {
      if (!isProved) refuse();
    });
  }
}
