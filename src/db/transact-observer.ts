/** What others may see of transactions, without knowing what is in them. */

/** Why transactions are tried again: PostgreSQL's names of the errors, and "contention" for what was found changed meanwhile. */
export const retryReasons = ["serialization_failure", "deadlock_detected", "contention"] as const;

/** One of those. */
export type RetryReason = (typeof retryReasons)[number];

/** Is told of the transactions of a `Database`; must not throw of its own. */
export interface TransactObserver {
  /** Runs one transaction with all its attempts, and settles as it does. */
  run?<T>(transaction: () => Promise<T>): Promise<T>;
  /** The transaction is about to be tried again. */
  retried?(reason: RetryReason): void;
}
