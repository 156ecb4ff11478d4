/** Progress of an installation, as an installer reports it and as a command prints it. */

/** Progress that an installer reports. Each report replaces the previous one. */
export interface InstallProgress {
  /** The current step, for people. */
  readonly phase?: string | undefined;
  /** Percentage that is done, 0 to 100; absent if unknown. */
  readonly percent?: number | undefined;
  /** How long from now on the agent may be unable to call. Default: the time of three heartbeats. */
  readonly quietForMs?: number | undefined;
}

/** Longest phase and silence that the server accepts, as in agent.proto. */
const maxPhaseLength = 128;
const maxQuietForMs = 24 * 60 * 60 * 1000;

const progressLine =
  /^bmaas-progress: (?<percent>100|[1-9]?\d|-)(?: quiet=(?<quiet>\d{1,5}))?(?: (?!quiet=)(?<phase>\S.*))?$/;

/**
 * Parses a line `bmaas-progress: PERCENT [quiet=SECONDS] [PHASE]`, with `-` for an unknown percentage. Returns
 * undefined for every other line.
 */
export function parseProgressLine(line: string): InstallProgress | undefined {
  const { percent, quiet, phase } = progressLine.exec(line.trimEnd())?.groups ?? {};
  if (percent === undefined) return undefined;
  const quietForMs = quiet === undefined ? undefined : Number(quiet) * 1000;
  if (quietForMs !== undefined && quietForMs > maxQuietForMs) return undefined;
  return boundProgress({ phase, percent: percent === "-" ? undefined : Number(percent), quietForMs });
}

/** Limits an installer's progress to the ranges of the contract. */
export function boundProgress({ phase, percent, quietForMs }: InstallProgress): InstallProgress {
  const inRange = (value: number | undefined, max: number) =>
    value === undefined || Number.isNaN(value) ? undefined : Math.min(max, Math.max(0, Math.round(value)));
  return {
    // Terminals would interpret control characters.
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
