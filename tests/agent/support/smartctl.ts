/** A smartctl that says what a test wants, in the place of the machine's own. */
import { onTestFinished } from "vitest";
import { installTool } from "./install-tool.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** What it does for a device, as a shell script, or prints as JSON with exit status 0. */
export type SmartctlAnswers = Record<string, string | object>;

/** Puts it first in PATH, until the test ends; a device that is not named has no SMART. Returns its folder. */
export async function installSmartctl(answers: SmartctlAnswers = {}): Promise<string> {
  const cases = Object.entries(answers).map(
    ([device, answer]) => `${device}) ${typeof answer === "string" ? answer : print(answer)};;`,
  );
  const script = ["for device; do :; done", 'case "$device" in', ...cases, `*) ${print({})};;`, "esac"];
  return await installTool("smartctl", script.join("\n"));
}

/** Leaves no smartctl in PATH, until the test ends. */
export async function hideSmartctl(): Promise<void> {
  const { PATH } = process.env;
  onTestFinished(() => {
    process.env.PATH = PATH;
  });
  process.env.PATH = await temporaryFolder();
}

function print(answer: object): string {
  return `cat <<'END'\n${JSON.stringify(answer)}\nEND\n`;
}
