/** `bmaas join-tokens` as an operator runs it. */
import { expect, test } from "vitest";
import { generateAgentKey } from "../../src/agent/agent-key.ts";
import { enrolmentClient, reportOf } from "../support/enrolments.ts";
import { tokenOf } from "../support/operator.ts";
import { operatorCommand } from "../support/operator-command.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const operator = operatorCommand(server.adminUrl, (await tokenOf(database.db, "operator")).secret);
const viewer = operatorCommand(server.adminUrl, (await tokenOf(database.db, "viewer")).secret);

test("a join token is made, shown once, listed without its secret, used and revoked", async () => {
  const made = await operator.run(
    ...["join-tokens", "create", "--uses", "2", "--expires", "7d"],
    ...["--provider", "lab", "--location", "basement", "--label", "rack=r3"],
  );
  expect(made).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^bmaas_join_[0-9a-f]{16}_[\w-]{43}\n$/),
    stderr: expect.stringMatching(
      /^created join token [0-9a-f]{16} for 2 agents, valid until \d{4}-\S+ \S+Z \(in [67] d.*\); its secret cannot be shown again:\n$/,
    ),
  });
  const joinToken = made.stdout.trim();
  const { outcome } = await enrolmentClient(server, await generateAgentKey()).enrol({
    hardwareReport: reportOf("SN-1"),
    joinToken,
  });
  expect(outcome.case).toBe("accepted");
  const list = await operator.run("join-tokens", "list");
  const [, id = ""] = /^([0-9a-f]{16}) {2}1 of 2 +none +lab +basement +rack=r3 .* in [67] d/m.exec(list.stdout) ?? [];
  expect(joinToken).toContain(id);
  expect(list.stdout).not.toContain(joinToken);
  expect(await operator.run("join-tokens", "revoke", id)).toEqual({
    status: 0,
    stdout: `revoked join token ${id}, which was used once\n`,
    stderr: "",
  });
  expect((await operator.run("join-tokens", "list")).stderr).toMatch(/^no join token is valid now; --all also lists /);
  expect((await operator.run("join-tokens", "list", "--all")).stdout).toMatch(new RegExp(`\n${id} .*revoked .*\n$`));
});

test("it is for one agent and a day, unless more is said, and JSON says what it is", async () => {
  expect((await operator.run("join-tokens", "create")).stderr).toMatch(/ for one agent, valid until .*\(in (24 h|1 d)/);
  expect(await operator.json("join-tokens", "create", "--require-approval")).toMatchObject({
    token: { maxUses: 1, uses: 0, requiresApproval: true },
    secret: expect.stringMatching(/^bmaas_join_/),
  });
});

test("wrong usage ends with 2, what does not exist with 3, and a viewer's with 5", async () => {
  expect(await operator.run("join-tokens", "create", "--uses", "10001")).toMatchObject({ status: 2 });
  expect(await operator.run("join-tokens", "create", "--location", "x")).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("location: needs a provider"),
  });
  expect(await operator.run("join-tokens", "revoke", "0".repeat(16))).toMatchObject({ status: 3 });
  expect(await viewer.run("join-tokens", "list")).toMatchObject({ status: 5 });
});
