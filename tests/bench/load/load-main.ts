/** A load in a process of its own, which costs the servers no more than it must; told by messages what to do, see load-process.ts. */
import { drive } from "./drive.ts";
import type { LoadOrder, LoadReply } from "./load-process.ts";
import { type OpenCallers, openCallers } from "./open-callers.ts";

let open: OpenCallers | undefined;

async function carryOut(order: LoadOrder): Promise<LoadReply> {
  if ("open" in order) {
    open = await openCallers(order.open);
    return {};
  }
  if (open === undefined) throw new Error("nobody is there to call");
  await open.sign(order.sign);
  const before = process.cpuUsage();
  const result = await drive(open.callers, order.drive);
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
