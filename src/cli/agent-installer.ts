/** The agent's options that say how it installs. */
import { Option } from "commander";
import type { Logger } from "pino";
import type { FindDisk } from "../agent/hardware/find-disk.ts";
import { ConfigError } from "../config/config.ts";

/** The flags as commander passes them. */
export interface InstallerFlags {
  readonly installer?: "image" | "pretend";
  readonly installCommand?: string;
  readonly installTimeout: number;
  readonly afterInstallCommand?: string;
  readonly diskFile?: string;
  readonly verify?: boolean;
}

type Agent = typeof import("../agent/index.ts");

/** Duration of a pretended installation, in milliseconds: long enough to see its progress. */
const pretendedDurationMs = 6000;

/** How long an installer may take to end once its time is over, before it is given up. */
const stoppingMs = 30_000;

/** Creates the option `--installer`. */
export function installerOption(): Option {
  return new Option(
    "--installer <installer>",
    "image writes disk images, pretend changes nothing (default: image for root on Linux and with --disk-file, else pretend)",
  )
    .choices(["image", "pretend"])
    .conflicts("installCommand");
}

/** What installs: the operator's command, the installer of images, or nothing. */
export type InstallerKind = "command" | "image" | "pretend";

/**
 * Chooses what installs. Without a flag that decides it, an agent that runs as root on Linux installs images, because
 * only root can, and a machine that only pretends to be installed is of no use. Throws ConfigError for flags that do
 * not go together.
 */
export function chooseInstaller(
  flags: Pick<InstallerFlags, "installer" | "installCommand" | "diskFile" | "verify">,
  system: { platform: string; userId: number | undefined },
): InstallerKind {
  const { installer, installCommand, diskFile, verify } = flags;
  const isRootOnLinux = system.platform === "linux" && system.userId === 0;
  const byDefault = isRootOnLinux || diskFile !== undefined ? "image" : "pretend";
  const kind = installCommand === undefined ? (installer ?? byDefault) : "command";
  if (verify === true && kind !== "image") throw new ConfigError(["--verify: only --installer image reads back"]);
  return kind;
}

/**
 * Returns the command that runs after a success, or undefined for none. The installer of images reboots into what it
 * has installed, unless that was a trial on a file.
 */
export function findAfterInstallCommand(
  { afterInstallCommand, diskFile }: Pick<InstallerFlags, "afterInstallCommand" | "diskFile">,
  kind: InstallerKind,
): string | undefined {
  return afterInstallCommand ?? (kind === "image" && diskFile === undefined ? "reboot" : undefined);
}

/** Creates the parts of an agent that install. */
export function createInstaller(
  agent: Agent,
  kind: InstallerKind,
  options: {
    flags: InstallerFlags;
    /** Runs after a success. */
    command: string | undefined;
    machineId: string;
    ca: Buffer | undefined;
    findDisk?: FindDisk | undefined;
    log: Logger;
  },
) {
  const { flags, command, machineId, ca, findDisk, log } = options;
  const { installCommand = "", verify: verifiesAll } = flags;
  const timeoutMs = flags.installTimeout * 1000;
  const onLine = (line: string) => log.info({ line }, "installer");
  const onWarning = (warning: string) => log.warn(`installer: ${warning}`);
  const create = {
    command: () => agent.createCommandInstaller(installCommand, { timeoutMs, onLine }),
    image: () => agent.createImageInstaller({ machineId, ca, findDisk, timeoutMs, verifiesAll, onWarning }),
    pretend: () => agent.createPretendingInstaller({ durationMs: pretendedDurationMs, onLine }),
  };
  const afterInstall =
    command === undefined ? undefined : (signal: AbortSignal) => agent.runShellCommand(command, { signal, onLine });
  const installsInProcess = kind !== "command";
  return { install: create[kind](), installsInProcess, installLimitMs: timeoutMs + stoppingMs, afterInstall };
}
