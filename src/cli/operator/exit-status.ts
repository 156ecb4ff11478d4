/** Exit statuses of commands, by which scripts distinguish failures. */

/** Exit statuses by meaning. 0 to 2 and 11 apply to every command. */
export const exitStatus = {
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  notAllowed: 5,
  serverAway: 6,
  installationFailed: 7,
  waitEnded: 8,
  installationDropped: 9,
  issuesFound: 10,
  outputLost: 11,
  interrupted: 130,
} as const;

/**
 * Ends the command with its status. The message is printed as one line on standard error, and the lines of `more` after
 * it.
 */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly status: number;
  /** The protocol's name of the error, such as "not_found"; absent if no call failed. */
  readonly code: string | undefined;
  /** Printable lines, such as a table. */
  readonly more: readonly string[];
  constructor(
    message: string,
    status: number,
    options: ErrorOptions & { readonly code?: string; readonly more?: readonly string[] } = {},
  ) {
    super(message, options);
    this.status = status;
    this.code = options.code;
    this.more = options.more ?? [];
  }
}

/** Help for commands that call a server. */
export const exitStatusHelp = `
Exit status: 0 done; 1 failed; 2 wrong usage, configuration or input; 3 not found; 4 refused: the machine's state does
not allow it, or a name, id or key is already in use; 5 not allowed: the token is missing or invalid, or its role does not
suffice; 6 the server is unreachable or does not answer; 11 standard output could not be written, for example on a full disk.`;
