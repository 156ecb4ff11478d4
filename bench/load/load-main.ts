/**
 * The process of a load, separate so that it disturbs the servers as little as possible. It carries out the orders of
 * load-process.ts.
 */

import { type Callers, createCallers } from "./callers.ts";
import { drive } from "./drive.ts";
import type { LoadOrder, LoadReply } from "./load-process.ts";

let callers: Callers | undefined;

async function carryOut(order: LoadOrder): Promise<LoadReply> {
  if ("callers" in order) {
    callers = createCallers(order.callers);
    return {};
  }
  if (callers === undefined) throw new Error("nobody is there to call");
  if ("prepare" in order) {
    await callers.prepare(order.prepare);
    return {};
  }
  const before = process.cpuUsage();
  const result = await drive(callers.open, order.drive);
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
