/** How far an installation is, as an installer says it and as a command prints it. */

/** What an installer says of itself; each word replaces what it said before. */
export interface InstallProgress {
  /** What it does now, for people to read. */
  readonly phase?: string | undefined;
  /** How much of the whole is done, 0 to 100; absent when it cannot tell. */
  readonly percent?: number | undefined;
  /** For how long from now on the agent may not be able to call. Default: three heartbeats may get lost. */
  readonly quietForMs?: number | undefined;
}

/** Longest phase and silence that the server keeps, as agent.proto says. */
const maxPhaseLength = 128;
const maxQuietForMs = 24 * 60 * 60 * 1000;

const progressLine =
  /^bmaas-progress: (?<percent>100|[1-9]?\d|-)(?: quiet=(?<quiet>\d{1,5}))?(?: (?!quiet=)(?<phase>\S.*))?$/;

/**
 * Reads a line `bmaas-progress: PERCENT [quiet=SECONDS] [PHASE]`, with `-` for a percentage that is not known; undefined for every
 * other line.
 */
export function parseProgressLine(line: string): InstallProgress | undefined {
  const { percent, quiet, phase } = progressLine.exec(line.trimEnd())?.groups ?? {};
  if (percent === undefined) return undefined;
  const quietForMs = quiet === undefined ? undefined : Number(quiet) * 1000;
  if (quietForMs !== undefined && quietForMs > maxQuietForMs) return undefined;
  return boundProgress({ phase, percent: percent === "-" ? undefined : Number(percent), quietForMs });
}

/** Brings what an installer says into the range of the contract. */
export function boundProgress({ phase, percent, quietForMs }: InstallProgress): InstallProgress {
  const inRange = (value: number | undefined, max: number) =>
    value === undefined || Number.isNaN(value) ? undefined : Math.min(max, Math.max(0, Math.round(value)));
  return {
    // Terminals would obey control characters.
    phase:
      phase
        ?.replace(/\p{Cc}/gu, " ")
        .trim()
        .slice(0, maxPhaseLength)
        .toWellFormed() || undefined,
    percent: inRange(percent, 100),
    quietForMs: inRange(quietForMs, maxQuietForMs),
  };
}
