import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { findEmbeddedUrl } from "../../src/db/embedded/connection-files.ts";
import { EmbeddedInUseError } from "../../src/db/embedded/errors.ts";
import { type DatabaseServer, type OpenOptions, openDatabaseServer } from "../../src/db/open.ts";
import { makeTestFolder, query } from "../support/embedded-owner.ts";

const log = pino({ level: "silent" });
let folder: string;
const opened: DatabaseServer[] = [];

beforeAll(async () => {
  folder = await makeTestFolder();
});

afterEach(async () => {
  for (const server of opened.splice(0).reverse()) await server.close();
});

async function open(options: Pick<OpenOptions, "mode" | "databaseUrl">): Promise<DatabaseServer> {
  const server = await openDatabaseServer({ home: join(folder, "home"), log, ...options });
  opened.push(server);
  return server;
}

describe("opening the database server", () => {
  it("takes the one it is told, and starts nothing", async () => {
    const databaseUrl = "postgres://db.example/bmaas";
    const server = await open({ mode: "own", databaseUrl });
    expect(server).toMatchObject({ url: databaseUrl });
    expect(server.lost).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
  });

  it("shares the one that another process runs, and leaves it running", async () => {
    const owned = await open({ mode: "own" });
    const shared = await openDatabaseServer({ home: join(folder, "home"), log, mode: "share" });
    expect(shared.url).toBe(owned.url);
    await shared.close();
    expect(await query(owned.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("starts one for the while when none runs to be shared", async () => {
    const shared = await open({ mode: "share" });
    expect(await query(shared.url, "select current_database() as name")).toEqual([{ name: "bmaas" }]);
    await shared.close();
    expect(await findEmbeddedUrl(join(folder, "home"))).toBeUndefined();
  });

  it("serves all who want to share at the same moment", async () => {
    const [one, other] = await Promise.all([open({ mode: "share" }), open({ mode: "share" })]);
    expect(one.url).toBe(other.url);
    expect(await query(other.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("refuses to own what another one owns", async () => {
    await open({ mode: "own" });
    await expect(open({ mode: "own" })).rejects.toThrow(EmbeddedInUseError);
  });
});
