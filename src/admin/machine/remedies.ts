/** Remedies: actions of an operator for the state of a machine, with their commands. */

/** An action of an operator, who replaces the words in capitals in the command. */
export interface Remedy {
  readonly description: string;
  /** Absent if no command does it. `enrolmentId` is that of the agent that asks to be let in as the machine. */
  readonly command?: (machineId: string, enrolmentId?: string) => string;
}

const whatToInstall = "--image URL --digest DIGEST --disk DISK";

/** Remedies by name. The description of one that wipes a disk says so. */
export const remedies = {
  register: {
    description: "register the key of the machine's agent",
    command: (id) => `bmaas agents register ${id} PUBLIC_KEY`,
  },
  provide: {
    description: "set which provider made the machine available",
    command: (id) => `bmaas machines set-provided ${id} --provider NAME --provider-id PROVIDER_ID`,
  },
  replaceKey: {
    description: "if the agent has a new key, replace the registered one",
    command: (id) => `bmaas agents replace ${id} PUBLIC_KEY`,
  },
  release: {
    description: "release the machine, so that installations can be requested and given again",
    command: (id) => `bmaas machines release ${id}`,
  },
  showHealth: {
    description: "read the machine's health alerts, solve the problems, and have their sources take the alerts back",
    command: (id) => `bmaas machines health ${id}`,
  },
  sayWhich: {
    description: "create a new key for the right machine, and replace the key that both machines use",
    command: (id) => `bmaas agents replace ${id} PUBLIC_KEY`,
  },
  judgeKnocker: {
    description: "if the agent that asks is this machine's, replace the key with its own; otherwise reject it",
    command: (id, enrolmentId = "ENROLMENT_ID") =>
      `bmaas enrolments approve ${enrolmentId} --machine ${id} --replace-key`,
  },
  restart: {
    description:
      "if the agent only repeats its report and installs nothing, restart the machine, so that the agent forgets the report",
  },
  readAgentLog: {
    description:
      "see in the agent's log whether it can read the request: it fails with every answer if the node parameters are of another version or the kind of installation is unknown to it",
  },
  startAgent: {
    description: "start the agent on the machine with the registered key, or find out why it cannot reach this server",
    command: (id) => `bmaas agent --machine-id ${id} --key KEY_FILE --endpoint URL`,
  },
  changeAgent: {
    description: "run an agent that supports this kind of installation, then request it again",
  },
  findOut: {
    description:
      "check on the machine's console or at its provider that it runs and that its agent reaches this server",
  },
  request: {
    description: "request an installation, which wipes a disk of the machine",
    command: (id) => `bmaas install request ${id} ${whatToInstall}`,
  },
  supersede: {
    description: "supersede it with another installation, although the agent may be installing this one",
    command: (id) => `bmaas install request ${id} ${whatToInstall} --supersede`,
  },
  retry: {
    description: "request the same installation again, which wipes a disk of the machine",
    command: (id) => `bmaas install retry ${id}`,
  },
  chooseDiskAnew: {
    description:
      "make sure that this is the machine you mean, then choose the disk anew from the newest hardware report, and wipe it",
    command: (id) => `bmaas install retry ${id}`,
  },
  restartAgent: {
    description: "if this lasts for minutes, restart the agent or the machine: the agent reports the hardware then",
  },
  repeatRestored: {
    description:
      "make sure that the machine has not carried it out already, then request the same installation again, which wipes a disk of the machine",
    command: (id) => `bmaas install retry ${id}`,
  },
  cancel: {
    description: "cancel the request",
    command: (id) => `bmaas install cancel ${id}`,
  },
  remove: {
    description: "delete the machine",
    command: (id) => `bmaas machines delete ${id}`,
  },
  showHistory: {
    description: "read the machine's history",
    command: (id) => `bmaas history ${id}`,
  },
  showHardware: {
    description: "read the machine's hardware",
    command: (id) => `bmaas hardware ${id}`,
  },
} as const satisfies Readonly<Record<string, Remedy>>;

/** Name of a remedy. */
export type RemedyName = keyof typeof remedies;
