/**
 * Describes errors for the log and for the user of a command.
 *
 * PostgreSQL's errors quote parameters in their message and detail, and Drizzle's carry them, so only codes and names
 * of these are shown. They are recognized by their fields, so that the agent need not load the database's libraries.
 */

interface DatabaseError extends Error {
  readonly code?: string;
  readonly constraint?: string;
  readonly table?: string;
  readonly routine?: string;
}

function isDatabaseError(error: Error): error is DatabaseError {
  return "severity" in error && "routine" in error;
}

function isQueryError(error: Error): boolean {
  return "query" in error && "params" in error;
}

/** Returns a description for the log: an object without secrets, causes included. */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  if (isDatabaseError(error)) {
    const { code, constraint, table, routine } = error;
    return { type: "DatabaseError", code, constraint, table, routine };
  }
  const { name, message, stack, cause } = error;
  const described = isQueryError(error) ? { type: "DrizzleQueryError" } : { type: name, message, stack };
  return cause === undefined ? described : { ...described, cause: describeError(cause) };
}

/** Returns a text for people that says what went wrong, without the stack. */
export function explainError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isDatabaseError(error)) return `the database refused a statement (SQLSTATE ${error.code})`;
  if (isQueryError(error)) return explainError(error.cause ?? "the database refused a statement");
  return error.message;
}
