/** Distinguishes errors of the operating system by Node's codes. */

/** Returns whether `error` is a system error with one of these codes, such as "ENOENT". */
export function isSystemError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
