/** A load in a process of its own, which costs the servers no more than it must: told by messages what to do, see load-process.ts. */
import type { Caller } from "./caller.ts";
import { drive } from "./drive.ts";
import type { LoadOrder, LoadReply } from "./load-process.ts";
import { openCertificateCallers } from "./open-callers.ts";

let callers: readonly Caller[] = [];

async function carryOut(order: LoadOrder): Promise<LoadReply> {
  if ("open" in order) {
    callers = await openCertificateCallers(order.open);
    return {};
  }
  const before = process.cpuUsage();
  const result = await drive(callers, order.drive);
  const { user, system } = process.cpuUsage(before);
  return { result: { ...result, cpuSeconds: (user + system) / 1e6 } };
}

process.on("message", (order: LoadOrder) => {
  carryOut(order).then(
    (reply) => process.send?.(reply),
    (error: unknown) => process.send?.({ error: String(error) } satisfies LoadReply),
  );
});
process.on("disconnect", () => process.exit());
