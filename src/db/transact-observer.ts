/** Interface by which metrics and tracing observe transactions. */

/** Reasons for retrying a transaction: PostgreSQL's names of the errors, and "contention" for a ContentionError. */
export const retryReasons = ["serialization_failure", "deadlock_detected", "contention"] as const;

/** Reason for retrying a transaction. */
export type RetryReason = (typeof retryReasons)[number];

/** Observer of the transactions of a `Database`. Its methods must not throw errors of their own. */
export interface TransactObserver {
  /** Runs `transaction`, one transaction with all its attempts, and settles as it does. */
  run?<T>(transaction: () => Promise<T>): Promise<T>;
  /** Called before a transaction is retried. */
  retried?(reason: RetryReason): void;
}
