import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import { type Account, findServerAccount } from "../../../src/db/embedded/account.ts";
import { getBinaries } from "../../../src/db/embedded/binaries.ts";
import { installBinaries } from "../../../src/db/embedded/install-binaries.ts";
import { systemFolder } from "../../../src/db/embedded/instance.ts";
import { findFamily, makeTestFolder, query, startOwner } from "../../support/embedded-owner.ts";
import { copyOwnerProgram, type ProgramCopy } from "../../support/program-copy.ts";
import { recordSyncs } from "../../support/record-syncs.ts";

const isRoot = process.getuid?.() === 0;
let clone: string;
let copy: ProgramCopy;
/** An ordinary user; undefined: the one who runs the tests. */
let account: Account | undefined;

beforeAll(async () => {
  account = await findServerAccount();
  const folder = await makeTestFolder();
  await chmod(folder, 0o711);
  clone = join(folder, "clone");
  await mkdir(clone);
  copy = await copyOwnerProgram(clone);
});

/** A folder that belongs to the ordinary user, with nothing in it. */
async function ordinaryFolder(): Promise<string> {
  const folder = await makeTestFolder();
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  return folder;
}

async function startOrdinary(home: string) {
  await chmod(clone, 0o755);
  return startOwner(home, { ...copy, ...(account === undefined ? {} : { account }) });
}

async function dataFolderOf(url: string | undefined): Promise<string> {
  const [row] = await query<{ folder: string }>(url ?? "", "select current_setting('data_directory') as folder");
  return row?.folder ?? "";
}

describe("root", () => {
  it.runIf(isRoot)(
    "has PostgreSQL run by another user, though its clone, its home and its umask let nobody in",
    async () => {
      await chmod(clone, 0o700);
      const home = join(await makeTestFolder(), "home");
      const owner = await startOwner(home, { ...copy, umask: "077" });
      expect(owner.error).toBeUndefined();
      const dataFolder = await dataFolderOf(owner.url);
      expect(dataFolder.startsWith(`${systemFolder}/`)).toBe(true);
      const { postgres, guardian } = await findFamily(owner.pid);
      for (const pid of [postgres, guardian]) expect((await stat(`/proc/${pid}`)).uid).toBe(account?.uid);
      expect(await stat(dataFolder)).toMatchObject({ uid: account?.uid, mode: 0o40700 });
      expect((await stat(home)).mode & 0o777).toBe(0o700);
      await owner.stop();
    },
  );

  it.runIf(isRoot)("is refused a home that holds an ordinary user's database", async () => {
    const home = await ordinaryFolder();
    const ordinary = await startOrdinary(home);
    await ordinary.stop();
    const owner = await startOwner(home);
    expect(owner.error?.message).toContain(`holds the database of the user with id ${account?.uid}`);
  });

  it.runIf(isRoot)(
    "takes macOS's account for databases, and no id that Node cannot start a process under",
    async () => {
      const folder = await makeTestFolder();
      const ids = "case $2 in _postgres) echo 216;; nobody) echo 4294967294;; *) exit 1;; esac";
      await writeFile(join(folder, "id"), `#!/bin/sh\n${ids}\n`, { mode: 0o755 });
      const path = process.env.PATH;
      process.env.PATH = folder;
      try {
        expect(await findServerAccount()).toEqual({ uid: 216, gid: 216 });
        await writeFile(join(folder, "id"), `#!/bin/sh\n${ids.replace("_postgres", "other")}\n`);
        await expect(findServerAccount()).rejects.toThrow("run bmaas as an ordinary user, or set DATABASE_URL");
      } finally {
        process.env.PATH = path;
      }
    },
  );

  it("gets whole programs when several processes copy at once, after one died half way", async () => {
    const folder = join(await makeTestFolder(), "postgres-0");
    await mkdir(`${folder}.tmp-4194305-half/native`, { recursive: true });
    const binaries = await getBinaries();
    const installed = await Promise.all([1, 2, 3].map(() => installBinaries(binaries, folder)));
    for (const { postgres } of installed) {
      const { stdout } = await promisify(execFile)(postgres, ["--version"]);
      expect(stdout).toContain(`PostgreSQL) ${binaries.majorVersion}.`);
    }
    expect(await readdir(join(folder, ".."))).toEqual(["postgres-0"]);
  });

  it("are on disk, folders too, before they have their name", async () => {
    const folder = join(await makeTestFolder(), "postgres-0");
    const syncs = await recordSyncs(() => (existsSync(folder) ? "there" : "not there"));
    await installBinaries(await getBinaries(), folder);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    expect(Object.groupBy(syncs, (sync) => sync)).toMatchObject({
      "folder: not there": { length: 1 + entries.filter((entry) => entry.isDirectory()).length },
      "file: not there": { length: entries.filter((entry) => entry.isFile()).length },
    });
  });
});

describe("an ordinary user", () => {
  it("runs PostgreSQL itself, with its data in the home", async () => {
    const home = join(await ordinaryFolder(), "home");
    const owner = await startOrdinary(home);
    expect(owner.error).toBeUndefined();
    expect(await dataFolderOf(owner.url)).toBe(join(home, "postgres", "data"));
    expect((await stat(join(home, "postgres"))).mode & 0o777).toBe(0o700);
    await owner.stop();
  });

  it.runIf(isRoot)("learns that it may not write the home, and what to do", async () => {
    const folder = await makeTestFolder();
    await chmod(folder, 0o755);
    const owner = await startOrdinary(join(folder, "home"));
    expect(owner.error?.message).toMatch(/EACCES: permission denied.*set BMAAS_HOME to a writable folder/);
  });

  it("needs no install scripts of npm packages", async () => {
    const library = join(copy.binaries, "native", "lib");
    if (account !== undefined) await chown(library, account.uid, account.gid);
    for (const entry of await readdir(library, { withFileTypes: true })) {
      if (entry.isSymbolicLink()) await rm(join(library, entry.name));
    }
    const owner = await startOrdinary(join(await ordinaryFolder(), "home"));
    expect(owner.error).toBeUndefined();
    await owner.stop();
  });

  it("learns that there are no programs for its platform, and what to do", async () => {
    await rename(copy.binaries, `${copy.binaries}-away`);
    const owner = await startOrdinary(join(await ordinaryFolder(), "home")).finally(() =>
      rename(`${copy.binaries}-away`, copy.binaries),
    );
    expect(owner.error?.message).toMatch(/^no PostgreSQL binaries for .+ are installed: set DATABASE_URL/);
  });
});
