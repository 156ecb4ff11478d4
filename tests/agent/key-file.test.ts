import { spawnSync } from "node:child_process";
import { createPrivateKey, createPublicKey, verify } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { createAgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import { AgentKeyFileError, loadAgentKey, saveAgentKey } from "../../src/agent/key-file.ts";
import { loadOrCreateKey } from "../../src/cli/agent-identity.ts";
import { recordSyncs } from "../support/record-syncs.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

/** RFC 8032 section 7.1, test 2. */
const vector = {
  seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
  publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
  message: "72",
  signature:
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
};

describe("a key", () => {
  test("has the public key and makes the signatures of RFC 8032", async () => {
    const key = await createAgentKey(Buffer.from(vector.seed, "hex"));
    expect(key.publicKeyHex).toBe(vector.publicKey);
    expect(Buffer.from(await key.sign(Buffer.from(vector.message, "hex"))).toString("hex")).toBe(vector.signature);
  });

  test("is the same key to OpenSSL", async () => {
    const key = await generateAgentKey();
    const publicKey = createPublicKey(createPrivateKey(key.exportPem()));
    expect(publicKey.export({ format: "jwk" }).x).toBe(Buffer.from(key.publicKey).toString("base64url"));
    const message = Buffer.from("message");
    expect(verify(null, message, publicKey, await key.sign(message))).toBe(true);
  });

  test("shows its private half to no log", async () => {
    const key = await createAgentKey(Buffer.from(vector.seed, "hex"));
    const shown = `${JSON.stringify(key)} ${inspect(key, { showHidden: true, depth: 9 })} ${Object.values(key)}`;
    expect(shown).not.toMatch(/4ccd|76, *205/i);
  });

  test("is refused with a seed of another length", async () =>
    await expect(createAgentKey(new Uint8Array(31))).rejects.toThrow(RangeError));
});

describe("a key file", async () => {
  const made = await generateAgentKey();
  const { publicKeyHex } = made;
  const seed = Buffer.from(made.exportSeed()).toString("hex");

  test("is for its owner alone, and loads as the same key", async () => {
    const file = join(await temporaryFolder(), "agent.key");
    const key = await generateAgentKey();
    await saveAgentKey(file, key);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const loaded = await loadAgentKey(file);
    expect(loaded.key.publicKeyHex).toBe(key.publicKeyHex);
    expect(loaded.warnings).toEqual([]);
  });

  test("is never overwritten", async () => {
    const file = join(await temporaryFolder(), "agent.key");
    await saveAgentKey(file, await generateAgentKey());
    const before = await readFile(file, "utf8");
    await expect(saveAgentKey(file, await generateAgentKey())).rejects.toThrow(/exists already, and a key is never/);
    expect(await readFile(file, "utf8")).toBe(before);
  });

  test.each(["write", "sync"])("is not there after a crash in the first %s of a new key", async (step) => {
    const folder = await temporaryFolder();
    const file = join(folder, "agent.key");
    const main = new URL("support/dying-keygen-main.ts", import.meta.url).pathname;
    expect(spawnSync(process.execPath, [main, file, step], { stdio: "inherit" }).signal).toBe("SIGKILL");
    expect(existsSync(file)).toBe(false);
    await saveAgentKey(file, made);
    expect((await loadAgentKey(file)).key.publicKeyHex).toBe(publicKeyHex);
  });

  test("is on disk, and its name too, before a new key is used", async () => {
    const folder = await temporaryFolder();
    const file = join(folder, "agent.key");
    const syncs = await recordSyncs(() => (existsSync(file) ? "the key is there" : "no key yet"));
    await saveAgentKey(file, made);
    expect(syncs).toEqual(["file: no key yet", "folder: the key is there"]);
    expect(await readdir(folder)).toEqual(["agent.key"]);
  });

  test("is the same for all agents that create it at once", async () => {
    const file = join(await temporaryFolder(), "agent.key");
    const loaded = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKey({ key: file })));
    const kept = (await loadAgentKey(file)).key.publicKeyHex;
    expect(new Set(loaded.map(({ key }) => key.publicKeyHex))).toEqual(new Set([kept]));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("that a link leads to and that does not exist is refused as that", async () => {
    const file = join(await temporaryFolder(), "agent.key");
    await symlink(`${file}.elsewhere`, file);
    await expect(saveAgentKey(file, made)).rejects.toThrow(
      `${file} is a link to a file that does not exist: name that`,
    );
  });

  test.each([
    ["hexadecimal", seed],
    ["hexadecimal in capitals, with a line end", `${seed.toUpperCase()}\n`],
    ["base64", Buffer.from(seed, "hex").toString("base64")],
    ["raw bytes", Buffer.from(seed, "hex")],
    [
      "PEM of OpenSSL",
      `-----BEGIN PRIVATE KEY-----\n${Buffer.from(`302e020100300506032b657004220420${seed}`, "hex").toString("base64")}\n-----END PRIVATE KEY-----\n`,
    ],
  ])("may hold the seed as %s", async (_form, content) => {
    const file = join(await temporaryFolder(), "agent.key");
    await writeFile(file, content, { mode: 0o600 });
    expect((await loadAgentKey(file)).key.publicKeyHex).toBe(publicKeyHex);
  });

  test("that others can read is used with a warning that says what to do", async () => {
    const file = join(await temporaryFolder(), "agent.key");
    await saveAgentKey(file, await generateAgentKey());
    await chmod(file, 0o640);
    expect((await loadAgentKey(file)).warnings).toEqual([expect.stringContaining(`chmod 600 ${file}`)]);
  });

  test.each([
    ["nothing", "", /the file is empty, as after a power cut while it was written.*delete it, make a new key/],
    ["zeros", "\0".repeat(119), /nothing but zeros, as after a power cut while it was written.*delete it/],
    ["half a key", made.exportPem().slice(0, 60), /the key in it is cut off.*restore it from a copy, or delete it/],
    ["some bytes of a key", made.exportPem().slice(0, 9), /the key in it is cut off/],
    ["nearly a key", made.exportPem().slice(0, -9), /the key in it is cut off/],
    ["something else", "hello\n", /create one with: bmaas agent keygen/],
    ["a public key", "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", /this is a public key/],
    [
      "an encrypted key",
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4=\n-----END ENCRYPTED PRIVATE KEY-----\n",
      /encrypted/,
    ],
    ["a key of OpenSSH", "-----BEGIN OPENSSH PRIVATE KEY-----\n", /OpenSSH/],
    ["a damaged key", "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n", /is not a private key/],
  ])("that holds %s is refused by saying so, without its content", async (_what, content, reason) => {
    const file = join(await temporaryFolder(), "agent.key");
    await writeFile(file, content, { mode: 0o600 });
    const error = await loadAgentKey(file).catch((thrown: unknown) => thrown as Error);
    expect(error).toBeInstanceOf(AgentKeyFileError);
    expect((error as Error).message).toMatch(reason);
    expect((error as Error).message).toContain(file);
    expect((error as Error).message).not.toContain("MC4");
  });

  test("of another algorithm is refused by naming it", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const file = join(await temporaryFolder(), "agent.key");
    await writeFile(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    await expect(loadAgentKey(file)).rejects.toThrow(/an ec key; agents need Ed25519 keys/);
  });

  test("that is named as a public key is refused, since a seed looks the same", async () => {
    const file = join(await temporaryFolder(), "agent.pub");
    await writeFile(file, `${(await generateAgentKey()).publicKeyHex}\n`, { mode: 0o600 });
    await expect(loadAgentKey(file)).rejects.toThrow(/by its name, this is a public key; the agent needs the private/);
  });

  test("that is absent is refused with the command that makes one", async () => {
    const file = join(await temporaryFolder(), "agent.key");
    await expect(loadAgentKey(file)).rejects.toThrow(`bmaas agent keygen --out ${file}`);
  });
});
