/** Carries out a change and undoes it, so that a caller sees what it would do. */
import type { Transaction } from "../db/client.ts";
import { transact } from "../db/transact.ts";
import type { AdminContext } from "./admin-context.ts";

/** Rolls the transaction back, and carries its answer. */
class RolledBack<T> extends Error {
  readonly answer: T;
  constructor(answer: T) {
    super("rolled back");
    this.answer = answer;
  }
}

/** Runs `work` in a transaction that is rolled back, and returns its answer. Throws what `work` throws. */
export async function answerWithoutChange<T>(
  { db }: Pick<AdminContext, "db">,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  try {
    return await transact(db, async (tx): Promise<never> => {
      throw new RolledBack(await work(tx));
    });
  } catch (error) {
    if (error instanceof RolledBack) return error.answer;
    throw error;
  }
}
