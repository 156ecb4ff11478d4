/** `bmaas completion`: what shells offer, asked of the shells themselves; skipped for those that are not installed. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { writeBashScript } from "../../src/cli/completion/bash-script.ts";
import { readCommandTree } from "../../src/cli/completion/command-tree.ts";
import { writeFishScript } from "../../src/cli/completion/fish-script.ts";
import { writeZshScript } from "../../src/cli/completion/zsh-script.ts";
import { createProgram } from "../../src/cli/program.ts";
import { makeFolder, runProgram } from "../support/program.ts";

const tree = readCommandTree(await createProgram());

test("prints a script for each shell, and ends with 2 for any other", async () => {
  const [bash, tcsh] = await Promise.all([runProgram(["completion", "bash"]), runProgram(["completion", "tcsh"])]);
  expect(bash).toEqual({ status: 0, stdout: writeBashScript(tree), stderr: "" });
  expect(tcsh).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining("bash, zsh, fish") });
});

/** A command line up to the cursor, some of what is offered there, and some of what is not. */
const cases: readonly [line: string, offered: readonly string[], notOffered: readonly string[]][] = [
  ["bmaas ", ["machines", "install", "status", "serve"], ["--home", "list"]],
  ["bmaas ma", ["machines"], ["status"]],
  ["bmaas machines ", ["list", "set-provided"], ["request", "machines"]],
  ["bmaas machines list --sel", ["--selector"], ["--json"]],
  ["bmaas machines list --json --admin-plaintext ", ["on", "off"], ["list"]],
  ["bmaas install list --state f", ["failed"], ["stale", "pending"]],
  ["bmaas tokens create alice --role ", ["viewer", "operator", "admin"], ["alice"]],
  ["bmaas completion ", ["bash", "zsh", "fish"], []],
  ["bmaas status --by ", ["provider", "location", "label."], []],
];

describe.skipIf(spawnSync("bash", ["--version"]).status !== 0)("bash (skipped without it)", () => {
  let script: string;

  beforeAll(async () => {
    script = join(await makeFolder(), "completion.bash");
    await writeFile(script, writeBashScript(tree));
  });

  function complete(line: string, directory = "."): string[] {
    const ask = `
      source "$1"
      COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:' COMP_LINE=$2 COMP_POINT=\${#2} COMPREPLY=()
      _bmaas
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync("bash", ["--norc", "-c", ask, "bash", script, line], { cwd: directory });
    return stdout.toString().trim().split("\n");
  }

  test.each(cases)("offers what fits behind %j", (line, offered, notOffered) => {
    const found = complete(line);
    expect(found).toEqual(expect.arrayContaining([...offered]));
    for (const word of notOffered) expect(found).not.toContain(word);
  });

  test("completes selectors term by term, as bash breaks words at the equals sign", () => {
    expect(complete("bmaas machines list --selector prov")).toEqual(["provider="]);
    expect(complete("bmaas enrolments list --selector se")).toEqual(["serial="]);
    expect(complete("bmaas machines list --selector state=installation_f")).toEqual(["installation_failed"]);
    expect(complete("bmaas machines list --selector state=stale,state=installation_o")).toEqual([
      "installation_overdue",
    ]);
    expect(complete("bmaas machines list --selector state=stale,loc")).toEqual(["stale,location="]);
    expect(complete("bmaas install list --state=sup")).toEqual(["superseded"]);
  });

  test("completes files where one is wanted, and nothing where anything goes", async () => {
    const folder = await makeFolder();
    await writeFile(join(folder, "fleet.yaml"), "");
    expect(complete("bmaas seed fl", folder)).toEqual(["fleet.yaml"]);
    expect(complete("bmaas install request --user-data fl", folder)).toEqual(["fleet.yaml"]);
    expect(complete("bmaas machines list --limit ", folder)).toEqual([""]);
  });
});

describe.skipIf(spawnSync("fish", ["--version"]).status !== 0)("fish (skipped without it)", () => {
  test.each(cases)("offers what fits behind %j", async (line, offered, notOffered) => {
    const script = join(await makeFolder(), "bmaas.fish");
    await writeFile(script, writeFishScript(tree));
    const { stdout } = spawnSync("fish", ["-N", "-c", `source ${script}; complete -C '${line}'`]);
    const found = stdout
      .toString()
      .split("\n")
      .map((row) => row.split("\t")[0]);
    expect(found).toEqual(expect.arrayContaining([...offered]));
    for (const word of notOffered) expect(found).not.toContain(word);
  });
});

describe.skipIf(spawnSync("zsh", ["--version"]).status !== 0)("zsh (skipped without it)", () => {
  // The completion system answers to a line editor only, so its builtins are replaced by ones that print what they are
  // given.
  const ask = `
    compdef() { }
    compset() { [[ $1 == -P ]] && PREFIX=\${PREFIX##$~2} }
    _describe() { print -l -- \${(P)@[-1]%%:*} }
    compadd() { print -l -- \${(P)@[-1]} }
    _files() { print files }
    source "$1"
    words=("\${(@s: :)2}") CURRENT=\${#words} PREFIX=\${words[-1]}
    _bmaas`;

  test.each(cases)("offers what fits behind %j", async (line, offered, notOffered) => {
    const script = join(await makeFolder(), "_bmaas");
    await writeFile(script, writeZshScript(tree));
    const { stdout } = spawnSync("zsh", ["-f", "-c", ask, "zsh", script, line]);
    const word = line.slice(line.lastIndexOf(" ") + 1);
    const found = stdout
      .toString()
      .split("\n")
      .filter((each) => each.startsWith(word));
    expect(found).toEqual(expect.arrayContaining([...offered]));
    for (const each of notOffered) expect(found).not.toContain(each);
  });
});
