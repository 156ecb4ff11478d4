import { describe, expect, test } from "vitest";
import { ConsoleLines } from "../../../tools/prove-machine/console-lines.ts";

function show(...lines: string[]): string[] {
  const console = new ConsoleLines();
  return [...lines, "end"].flatMap((line, index) => console.push(line, index)).map(({ text }) => text);
}

describe("the transcript of a console", () => {
  test("has an entry of the agent's log in one line, with the fields that say more", () => {
    expect(
      show("[22:45:01.123] WARN: not let in", '    publicKey: "ab"', '    reason: "rejected"', "    retryInMs: 5"),
    ).toEqual(['agent: WARN: not let in  reason: "rejected"', "end"]);
  });

  test("has the time at which an entry began", () => {
    const console = new ConsoleLines();
    expect(console.push("[22:45:01.123] INFO: let in", 10)).toEqual([]);
    expect(console.push("next", 20)).toEqual([
      { text: "agent: INFO: let in", atMs: 10 },
      { text: "next", atMs: 20 },
    ]);
  });

  test("shows the progress of an installation once for ten percent", () => {
    const progress = (percent: number) => ["[22:45:01.123] INFO: installing", `    percent: ${percent}`];
    expect(show(...[0, 4, 11, 13.5, 20, 100].flatMap(progress))).toEqual([
      ...[0, 11, 20, 100].map((percent) => `agent: INFO: installing  percent: ${percent}`),
      "end",
    ]);
  });

  test("leaves out what the kernel and DHCP print, and shows iPXE's downloads once", () => {
    // iPXE goes back and writes over what it has written.
    const back = "\b\b\b\b";
    const download = `http://10.0.2.2/vmlinuz... 17%${back}    ${back} 34%${back}    ${back} ok`;
    expect(
      show("[    0.02] ..MP-BIOS bug", "", "udhcpc: started", "alpha.ipxe : 396 bytes [script]", download),
    ).toEqual(["http://10.0.2.2/vmlinuz... ok", "end"]);
  });
});
