/** A key whose private half is public stands for no machine, whichever way it comes in. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AgentService } from "../../gen/bmaas/admin/v1/agent_service_pb.js";
import { createAgentKey, generateAgentKey } from "../../src/agent/agent-key.ts";
import { loadAgentKey } from "../../src/agent/key-file.ts";
import { parsePublicKey } from "../../src/contract/public-key.ts";
import { findPublication } from "../../src/contract/published-keys.ts";
import { registerAgents } from "../../src/db/queries/agent-started.ts";
import { transact } from "../../src/db/transact.ts";
import { grpcAgent, signingAgent } from "../support/agents.ts";
import { errorOf } from "../support/call-error.ts";
import { bareMachine, machineWithAgent, readTags } from "../support/machine.ts";
import { adminClient, tokenOf } from "../support/operator.ts";
import { makeFolder, runProgram } from "../support/program.ts";
import { mistakesOf, parseFleet } from "../support/seed.ts";
import { startServerWithDatabase } from "../support/server.ts";

const fromSeed = async (hex: string) => await createAgentKey(Buffer.from(hex, "hex"));

describe.each([
  ["the base point", "5866666666666666666666666666666666666666666666666666666666666666"],
  ["the base point with the other sign", "58666666666666666666666666666666666666666666666666666666666666e6"],
  ["RFC 8032, section 7.1, test 1", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"],
  ["RFC 8032, section 7.1, test 1024", "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e"],
  ["RFC 8032, section 7.2", "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292"],
  ["RFC 8032, section 7.3", "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"],
  ["RFC 8410, section 10.3", "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"],
  ["RFC 8080, section 6.1", "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="],
  ["RFC 9421, appendix B.1.4", "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="],
  ["Monogon's insecure key", "39f1327cc7b5143eaeebab66a81e7618aac46ced09d4757cbbb1798b0fbbcc3f"],
  ["Vagrant's insecure key", "dd58771069365cf10ea7c9cb0fd02a8c3517ec2f1bd8571a8aa2cac7c93a7e58"],
  ["Go's crypto/tls", "0be0b560b5e279303dbee31ee050b104c86dc7786c692fc514ad9a636f791291"],
  ["number 1001 of Ed25519's test vectors", "b8cea215a0124eed27005725d897781ea064dcefb21422c8bd2402c56a10571c"],
])("%s", (_name, publicKey) => {
  test("is refused, saying what to do", () => {
    expect(() => parsePublicKey(publicKey)).toThrow(/^the private half of this key is public \(.+\): create another/);
  });
});

test.each([
  ["zeros", "00".repeat(32)],
  ["one byte", "a5".repeat(32)],
  ["a one at the end", `${"00".repeat(31)}01`],
  ["a one at the beginning", `01${"00".repeat(31)}`],
  ["a row", Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString("hex")],
])("a key whose seed is %s is known", async (_what, seed) => {
  const key = await fromSeed(seed);
  expect(() => parsePublicKey(key.publicKeyHex)).toThrow(/its seed is one that anybody can guess/);
});

test("a key that somebody makes is not", async () => {
  for (let count = 0; count < 50; count++)
    expect(findPublication((await generateAgentKey()).publicKey)).toBeUndefined();
});

describe("the key of RFC 8032's first test", async () => {
  const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
  const key = await fromSeed(seed);
  const { publicKey } = key;
  const { database, server } = await startServerWithDatabase();
  const { secret } = await tokenOf(database.db, "operator");
  const agents = adminClient(AgentService, server.adminUrl, secret);
  const refusal = expect.stringMatching(/the private half of this key is public \(RFC 8032/i);

  test("can be registered for no machine, nor replace a key", async () => {
    const wrong = { code: "InvalidArgument", message: refusal, fields: ["public_key"] };
    expect(await errorOf(agents.registerAgent({ machineId: await bareMachine(database.db), publicKey }))).toMatchObject(
      wrong,
    );
    const held = await machineWithAgent(database.db);
    expect(await errorOf(agents.replaceAgent({ machineId: held.machineId, publicKey }))).toMatchObject(wrong);
  });

  test("is a mistake in a seed file, at its place", async () => {
    const parse = () => parseFleet(`machines:\n  - agent: { publicKey: ${key.publicKeyHex} }\n`);
    expect(await mistakesOf(parse)).toEqual([
      expect.stringMatching(/^2:25 machines\[0\]\.agent\.publicKey: the private half of this key is public/),
    ]);
  });

  test("is wrong usage of a command, before any server is called", async () => {
    const environment = { BMAAS_ADMIN_URL: server.adminUrl, BMAAS_ADMIN_TOKEN: secret };
    const args = ["agents", "register", await bareMachine(database.db), key.publicKeyHex];
    expect(await runProgram(args, { environment })).toMatchObject({ status: 2, stderr: refusal });
  });

  test("lets no agent in that was registered with it long ago, by either proof", async () => {
    const machineId = await bareMachine(database.db);
    await transact(database.db, (tx) => registerAgents(tx, [{ machineId, publicKey }], "test"));
    using certified = grpcAgent(server, key);
    using signing = signingAgent(server, { machineId, key }, "connect-json");
    for (const agent of [certified, signing]) {
      const heartbeat = agent.heartbeat({ machineId });
      expect(await errorOf(heartbeat)).toMatchObject({ code: "Unauthenticated", message: refusal });
    }
    expect((await readTags(database, machineId)).heartbeat).toBeUndefined();
  });

  test("is no agent's, whose file holds it", async () => {
    const file = join(await makeFolder(), "agent.key");
    await writeFile(file, seed, { mode: 0o600 });
    await expect(loadAgentKey(file)).rejects.toThrow(/agent\.key: the private half of this key is public/);
  });
});
