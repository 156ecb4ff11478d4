/** `bmaas issues`: lists, checks, and what machines' commands say of issues. */
import { beforeAll, describe, expect, test } from "vitest";
import { issueTypes } from "../../src/contract/issue-types.ts";
import { issueSituations } from "../support/issue-situation.ts";
import { tokenOf } from "../support/operator.ts";
import { operatorCommand } from "../support/operator-command.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();
const { secret } = await tokenOf(database.db, "viewer");
const bmaas = operatorCommand(server.adminUrl, secret);

test("without issues the check says so and exits with 0", async () => {
  expect(await bmaas.run("issues", "--check")).toMatchObject({ status: 0, stdout: "no issues\n" });
  expect(await bmaas.run("issues")).toMatchObject({ status: 0, stdout: "", stderr: "0 issues\n" });
});

describe("with issues", () => {
  let silent = "";
  let duplicate = "";
  beforeAll(async () => {
    silent = await issueSituations.agent_silent.make(database.db);
    duplicate = await issueSituations.duplicate_agent.make(database.db);
  });

  test("lists them, the most urgent first, in sentences", async () => {
    const { status, stdout, stderr } = await bmaas.run("issues");
    expect([status, stderr]).toEqual([0, "2 issues\n"]);
    const [header = "", first = "", second = ""] = stdout.split("\n");
    expect(header).toMatch(/^MACHINE +SEVERITY +TYPE +SINCE +ISSUE$/);
    expect(first).toContain(duplicate);
    expect(first).toMatch(
      / critical +duplicate_agent +7 min ago +two machines call with this machine's id and key: boot/,
    );
    expect(second).toContain(silent);
    expect(second).toMatch(/ warning +agent_silent +10 min ago +the agent is silent: last heard \d{4}-/);
  });

  test("the check prints one line and exits with 10", async () => {
    const line = "1 critical, 1 warning: duplicate_agent 1, agent_silent 1\n";
    expect(await bmaas.run("issues", "--check")).toMatchObject({ status: 10, stdout: line, stderr: "" });
    const { status, stdout } = await bmaas.run("issues", "--check", "--json");
    expect([status, JSON.parse(stdout).issues.length]).toEqual([10, 2]);
  });

  test("the check looks only at what is asked for", async () => {
    const checks = [
      [["--severity", "critical"], 10],
      [["--severity", "info"], 0],
      [["--type", "agent_silent", "hold_ending"], 10],
      [["--type", "hold_ending"], 0],
      [["--selector", `id=${silent}`, "--severity", "critical"], 0],
      [["--selector", "issue=agent-silent"], 10],
      [["--limit", "1"], 10],
    ] as const;
    for (const [flags, status] of checks) {
      const told = await bmaas.run("issues", "--check", ...flags);
      expect([flags, told.status]).toEqual([flags, status]);
      if (status === 0) expect(told.stdout, String(flags)).toBe("no such issues\n");
    }
  });

  test("prints the API's message with --json", async () => {
    expect(await bmaas.json("issues", "--type", "agent_silent")).toMatchObject({
      issues: [{ machineId: silent, type: "agent_silent", severity: "ISSUE_SEVERITY_WARNING" }],
      nextPageToken: "",
    });
  });

  test("machines explain and get show the same words", async () => {
    for (const verb of ["explain", "get"]) {
      const { stdout } = await bmaas.run("machines", verb, silent);
      expect(stdout).toMatch(/issues +agent_silent \(warning\), since .*: the agent is silent: last heard \d{4}-/);
      expect(stdout).toContain(issueTypes.agent_silent.summary);
    }
  });

  test("a selector finds the machines", async () => {
    const { machines } = await bmaas.json("machines", "list", "--selector", "issue=agent_silent,issue=hold_ending");
    expect(machines).toMatchObject([{ id: silent, issues: [{ type: "agent_silent" }] }]);
  });
});

test.each([
  [["--type", "bad_luck"], "Allowed choices are"],
  [["--severity", "fatal"], "Allowed choices are info, warning, critical"],
  [["--selector", "issue=agent_silen"], "did you mean agent_silent?"],
  [["--limit", "0"], "Expected a whole number"],
])("%j is wrong usage", async (flags, text) => {
  const { status, stderr } = await bmaas.run("issues", ...flags);
  expect([status, stderr]).toEqual([2, expect.stringContaining(text)]);
});

test("a server that does not answer is no finding", async () => {
  const { status } = await operatorCommand("http://127.0.0.1:9", secret).run("issues", "--check");
  expect(status).toBe(6);
});
