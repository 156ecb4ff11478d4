import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buffer, text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { loadAgentKey, saveAgentKey } from "../../src/agent/key-file.ts";
import { findAgentSignature } from "../../src/contract/agent-signature.ts";
import { formatContentDigest, sha256 } from "../../src/contract/content-digest.ts";
import { mainFile } from "../support/program.ts";
import { createFreezer } from "./support/frozen-processes.ts";
import { startHeartbeatServer } from "./support/heartbeat-server.ts";
import { requestOf } from "./support/running-agent.ts";
import { temporaryFolder } from "./support/temporary-folder.ts";

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";

function start(program: string, args: readonly string[], cwd: string): ChildProcessWithoutNullStreams {
  const child = spawn(program, args, { cwd });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function run(program: string, args: readonly string[], cwd: string, input = "") {
  const child = start(program, args, cwd);
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  return { stdout, stderr, status };
}

const bmaas = (cwd: string, args: readonly string[], input = "") =>
  run(process.execPath, [mainFile, "agent", ...args], cwd, input);

async function folderWithKey(): Promise<string> {
  const folder = await temporaryFolder();
  await saveAgentKey(join(folder, "agent.key"), await generateAgentKey());
  return folder;
}

describe("bmaas agent keygen", () => {
  test("writes a key for its owner alone, and prints the public half alone", async () => {
    const folder = await temporaryFolder();
    const { stdout, stderr, status } = await bmaas(folder, ["keygen", "--out", "m1.key"]);
    const file = join(folder, "m1.key");
    expect(status).toBe(0);
    expect(stdout).toBe(`${(await loadAgentKey(file)).key.publicKeyHex}\n`);
    expect(stderr).toContain("private key written to m1.key");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("never overwrites a key", async () => {
    const folder = await temporaryFolder();
    await bmaas(folder, ["keygen"]);
    const before = await readFile(join(folder, "agent.key"), "utf8");
    const { stdout, stderr, status } = await bmaas(folder, ["keygen"]);
    expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
    expect(stderr).toMatch(/^bmaas: --out: agent\.key exists already.*\n$/);
    expect(await readFile(join(folder, "agent.key"), "utf8")).toBe(before);
  });
});

test("bmaas agent keygen says that the folder for the key is missing", async () => {
  const { stderr, status } = await bmaas(await temporaryFolder(), ["keygen", "--out", "none/agent.key"]);
  expect([status, stderr]).toEqual([2, "bmaas: --out: none/agent.key: there is no such folder\n"]);
});

describe("bmaas agent certificate", () => {
  test("prints a self-signed certificate of the key, and nothing else", async () => {
    const folder = await folderWithKey();
    const { stdout, status } = await bmaas(folder, ["certificate", "--key", "agent.key"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]*-----END CERTIFICATE-----\n$/);
    const certificate = new X509Certificate(stdout);
    expect(certificate.checkPrivateKey(createPrivateKey(await readFile(join(folder, "agent.key"))))).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
  });
});

describe("bmaas agent sign", () => {
  const url = "https://bmaas.example:8443/cloud.bmaas.server.api.AgentCallback/Heartbeat";
  const identity = ["--machine-id", machineId, "--key", "agent.key"];
  test.each([
    ["--data", ["--data", "größer {}"], ""],
    ["--data-file -", ["--data-file", "-"], "größer {}"],
  ])("prints one header a line, over the body from %s", async (_from, args, input) => {
    const { stdout, status } = await bmaas(await folderWithKey(), ["sign", ...identity, "--url", url, ...args], input);
    const headers = new Map(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split(/: (.*)/, 2) as [string, string]),
    );
    expect(status).toBe(0);
    expect([...headers.keys()]).toEqual(["content-digest", "signature-input", "signature"]);
    expect(headers.get("content-digest")).toBe(formatContentDigest(await sha256(Buffer.from("größer {}"))));
    const signatureInput = headers.get("signature-input") ?? "";
    expect(findAgentSignature({ signatureInput, signature: headers.get("signature") ?? "" })).toMatchObject({
      machineId,
    });
  });

  const hasCurl = spawnSync("curl", ["--version"]).status === 0;
  test.runIf(hasCurl).each(["headers", "curl"])(
    "makes a call by the real curl carry what was signed, as %s",
    async (format) => {
      const received: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
      const server = createServer(async (request, response) => {
        received.push({ headers: request.headers, body: (await buffer(request)).toString() });
        response.end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void server.close());
      const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}/heartbeat`;
      const body = `{"machineId":"${machineId}","note":"it's @ home"}`;
      const folder = await folderWithKey();
      await writeFile(join(folder, "body.json"), body);
      const sign = `"$0" "$1" agent sign ${identity.join(" ")} --url ${target} --data-file body.json --format ${format}`;
      const recipe = format === "curl" ? `${sign} | sh` : `${sign} | curl -sS -H @- --data-binary @body.json ${target}`;
      expect(await run("sh", ["-c", recipe, process.execPath, mainFile], folder)).toMatchObject({ status: 0 });
      expect(received[0]?.body).toBe(body);
      expect(received[0]?.headers["content-digest"]).toBe(formatContentDigest(await sha256(Buffer.from(body))));
      const [signatureInput, signature] = ["signature-input", "signature"].map((name) =>
        String(received[0]?.headers[name]),
      );
      expect(findAgentSignature({ signatureInput: signatureInput ?? "", signature: signature ?? "" })?.machineId).toBe(
        machineId,
      );
    },
  );

  test.each([
    [["sign"], ["--machine-id is missing", "--key is missing", "--url is missing"]],
    [
      ["sign", "--machine-id", "m1", "--key", "absent", "--url", "ftp://x"],
      ["--machine-id: a machine id is a UUID", "--url: not an http or https URL"],
    ],
    [["sign", "--machine-id", machineId, "--key", "absent", "--url", url], ["--key: absent: no such file"]],
    [["sign", ...identity, "--url", url, "--data-file", "absent"], ["--data-file: ENOENT"]],
    [["certificate"], ["--key is missing"]],
    [[], ["--key is missing", "--endpoint is missing"]],
    [["--machine-id", "m1", "--key", "absent", "--endpoint", "https://127.0.0.1:1"], ["--machine-id: a machine id is"]],
    [
      ["--key", "new.key", "--endpoint", "https://127.0.0.1:1", "--join-token-file", "absent"],
      ["--join-token-file: ENOENT"],
    ],
    [[...identity, "--endpoint", "http://127.0.0.1:1"], ["--endpoint: a client certificate needs an https URL"]],
    [[...identity, "--endpoint", "https://127.0.0.1:1", "--ca", "absent"], ["--ca: ENOENT"]],
    [
      [...identity, "--endpoint", "https://127.0.0.1:1", "--ca", "agent.key"],
      ["--ca: agent.key holds no PEM certificate"],
    ],
  ])("%j is refused with exit status 2, every mistake on a line of its own", async (args, mistakes) => {
    const { stdout, stderr, status } = await bmaas(await folderWithKey(), args);
    expect({ stdout, status }).toEqual({ stdout: "", status: 2 });
    const lines = stderr.trimEnd().split("\n");
    expect(lines).toEqual(mistakes.map((mistake) => expect.stringContaining(`bmaas: ${mistake}`)));
  });
});

describe("bmaas agent", () => {
  test("goes through an installation by the operator's command, and stops with exit status 0", async () => {
    const folder = await folderWithKey();
    const server = await startHeartbeatServer(({ installationReport }) =>
      installationReport === undefined ? { installationRequest: requestOf(123n) } : {},
    );
    await writeFile(join(folder, "ca.pem"), server.ca);
    const options = ["--machine-id", machineId, "--key", "agent.key", "--endpoint", server.url, "--ca", "ca.pem"];
    const install = "cat > request.json; echo bmaas-progress: 40 writing the image; echo half way";
    const commands = ["--install-command", install, "--after-install-command", "echo rebooting"];
    const agent = start(process.execPath, [mainFile, "agent", ...options, ...commands], folder);
    const messages: string[] = [];
    const said: object[] = [];
    for await (const line of createInterface(agent.stdout)) {
      const { msg, percent, phase, line: output } = JSON.parse(line) as Record<string, string>;
      if (msg === "installing" || msg === "installer") said.push({ msg, percent, phase, output });
      messages.push(msg ?? "");
      if (msg === "after-install command succeeded") agent.kill("SIGTERM");
    }
    if (agent.exitCode === null) await once(agent, "exit");
    expect(agent.exitCode).toBe(0);
    expect(messages).toEqual(
      expect.arrayContaining([
        "agent started",
        "installation started",
        "installation succeeded",
        "installation reported",
        "agent stopped",
      ]),
    );
    expect(said).toEqual([
      { msg: "installing", percent: 40, phase: "writing the image" },
      { msg: "installer", output: "half way" },
      { msg: "installer", output: "rebooting" },
    ]);
    expect(JSON.parse(await readFile(join(folder, "request.json"), "utf8"))).toEqual({
      generation: "123",
      image: requestOf(123n).type.value,
    });
    expect(server.requests.at(-1)?.installationReport).toMatchObject({ generation: 123n, result: { case: "success" } });
    expect(await text(agent.stderr)).toBe("");
    const state = JSON.parse(await readFile(join(folder, "agent.key.state.json"), "utf8"));
    expect(state).toEqual({
      machineId,
      attempt: { generation: "123", request: expect.any(String), phase: "reported", afterInstall: "over" },
    });
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("stops an installation in good order on %s", async (signal) => {
    const folder = await folderWithKey();
    const server = await startHeartbeatServer(() => ({ installationRequest: requestOf(123n) }));
    await writeFile(join(folder, "ca.pem"), server.ca);
    const options = ["--machine-id", machineId, "--key", "agent.key", "--endpoint", server.url, "--ca", "ca.pem"];
    const install = "trap 'echo stopped > end; exit 1' TERM; echo begun; while :; do sleep 0.1; done";
    const agent = start(process.execPath, [mainFile, "agent", ...options, "--install-command", install], folder);
    for await (const line of createInterface(agent.stdout)) if (line.includes('"begun"')) agent.kill(signal);
    if (agent.exitCode === null) await once(agent, "exit");
    expect([agent.exitCode, agent.signalCode]).toEqual([0, null]);
    expect(await readFile(join(folder, "end"), "utf8")).toBe("stopped\n");
    const { attempt } = JSON.parse(await readFile(join(folder, "agent.key.state.json"), "utf8"));
    expect(attempt).toMatchObject({ generation: "123", phase: "done", error: expect.stringContaining("stopped") });
  });

  test.each([
    ["an install command, which may outlive it", ["--install-command", "echo begun; sleep 600"], { generation: "123" }],
    ["the installer that pretends, which may not", ["--installer", "pretend"], undefined],
  ])("records before it runs %s", async (_which, installer, hanging) => {
    const folder = await folderWithKey();
    const server = await startHeartbeatServer(() => ({ installationRequest: requestOf(123n) }));
    await writeFile(join(folder, "ca.pem"), server.ca);
    const options = ["--machine-id", machineId, "--key", "agent.key", "--endpoint", server.url, "--ca", "ca.pem"];
    const agent = start(process.execPath, [mainFile, "agent", ...options, ...installer], folder);
    for await (const line of createInterface(agent.stdout)) {
      if (JSON.parse(line).msg === "installation started") agent.kill("SIGKILL");
    }
    const { attempt } = JSON.parse(await readFile(join(folder, "agent.key.state.json"), "utf8"));
    expect(attempt).toMatchObject({ generation: "123", phase: "installing" });
    if (hanging === undefined || process.platform !== "linux") expect(attempt.hanging).toBeUndefined();
    else expect(attempt.hanging).toMatchObject(hanging);
  });

  test("ends although its health command hangs in the kernel (skipped where nothing can be frozen)", async (context) => {
    const freezer = createFreezer();
    if (freezer === undefined) return context.skip("this machine has no cgroup in which a process can be frozen");
    const folder = await folderWithKey();
    const server = await startHeartbeatServer(() => ({}));
    await writeFile(join(folder, "ca.pem"), server.ca);
    const identity = ["--machine-id", machineId, "--key", "agent.key", "--endpoint", server.url, "--ca", "ca.pem"];
    const options = ["--installer", "pretend", "--health-command", `${freezer.freezeSelf}; echo '[]'`];
    const agent = start(process.execPath, [mainFile, "agent", ...identity, ...options], folder);
    const ended = Promise.all([once(agent, "exit"), text(agent.stdout)]);
    await expect.poll(() => freezer.isFrozen(), { timeout: 20_000 }).toBe(true);
    agent.kill("SIGTERM");
    expect(await ended).toEqual([[0, null], expect.stringContaining("agent stopped")]);
    expect(freezer.isFrozen()).toBe(true);
  });

  test("says what to do when the server's certificate is not trusted", async () => {
    const folder = await folderWithKey();
    const server = await startHeartbeatServer(() => ({}));
    const options = ["--machine-id", machineId, "--key", "agent.key", "--endpoint", server.url];
    const agent = start(process.execPath, [mainFile, "agent", ...options, "--installer", "pretend"], folder);
    const advice: unknown[] = [];
    for await (const line of createInterface(agent.stdout)) {
      const entry = JSON.parse(line) as { advice?: string };
      if (entry.advice === undefined) continue;
      advice.push(entry.advice);
      agent.kill("SIGTERM");
    }
    expect(advice[0]).toBe("name the CA of the server's certificate with --ca");
  });

  test("does not start beside another one on the same state", async () => {
    const folder = await folderWithKey();
    const identity = ["--machine-id", machineId, "--key", "agent.key"];
    const options = [...identity, "--endpoint", "http://127.0.0.1:9", "--signed", "--installer", "pretend"];
    const agent = start(process.execPath, [mainFile, "agent", ...options], folder);
    await once(createInterface(agent.stdout), "line");
    const { stderr, status } = await bmaas(folder, options);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^bmaas: agent\.key\.state\.json is in use by another agent.*\n$/);
  });
});
