/** Errors that only an operator can fix. */

/**
 * A failure that persists until an operator changes a setting, a file or the machine. Its message says what is wrong
 * and what to do, one line for each mistake. A command that fails with it exits with status 2.
 */
export class OperatorError extends Error {}
