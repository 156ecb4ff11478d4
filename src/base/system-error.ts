/** Errors of the operating system, told apart by the codes that Node gives them. */

/** Whether `error` is a system error with one of these codes, like "ENOENT". */
export function isSystemError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
