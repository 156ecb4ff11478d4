/** Trees of files as Linux has them below /sys and /proc. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { AgentHardwareReport } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { collectHardwareReport } from "../../../src/agent/hardware-report.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Contents by path; a text that begins with "->" makes a link to another path of the tree. */
export type SystemTree = Record<string, string | Buffer>;

/**
 * Lays out a machine's /sys, with its /proc at "proc" in it; one that has no disks, interfaces or processors unless the
 * tree has.
 */
export async function layOutSystem(tree: SystemTree): Promise<{ sys: string; proc: string }> {
  const root = await temporaryFolder();
  for (const [path, content] of Object.entries({
    "class/net/.keep": "",
    "block/.keep": "",
    "proc/cpuinfo": "",
    ...tree,
  })) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    if (typeof content === "string" && content.startsWith("->")) await symlink(join(root, content.slice(2)), file);
    else await writeFile(file, content);
  }
  return { sys: root, proc: join(root, "proc") };
}

/** Time for each part of a report that is to be complete, however busy the machine that runs the tests is. */
export const patientMs = 600_000;

/** The report of a machine that is laid out so. */
export async function reportOf(tree: SystemTree): Promise<AgentHardwareReport> {
  return await collectHardwareReport({ files: await layOutSystem(tree), timeoutMs: patientMs });
}
