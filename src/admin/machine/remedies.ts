/** Remedies: actions of an operator for the state of a machine, with their commands. */

/** An action of an operator, who replaces the words in capitals in the command. */
export interface Remedy {
  readonly description: string;
  /** Absent if no command does it. */
  readonly command?: (machineId: string) => string;
}

const whatToInstall = "--image URL --digest DIGEST --root-device DEVICE";

/** Remedies by name. The description of one that wipes a disk says so. */
export const remedies = {
  register: {
    description: "register the key of the machine's agent",
    command: (id) => `bmaas agents register ${id} PUBLIC_KEY`,
  },
  provide: {
    description: "say which provider made the machine available",
    command: (id) => `bmaas machines set-provided ${id} --provider NAME --provider-id PROVIDER_ID`,
  },
  replaceKey: {
    description: "if the agent has another key by now, put that in the place of the registered one",
    command: (id) => `bmaas agents replace ${id} PUBLIC_KEY`,
  },
  sayWhich: {
    description: "give the machine that is meant a key of its own, and put that in the place of the one that both have",
    command: (id) => `bmaas agents replace ${id} PUBLIC_KEY`,
  },
  restart: {
    description:
      "if the agent only repeats its report, and installs nothing, restart the machine: agents forget the report then",
  },
  readAgentLog: {
    description:
      "see in the agent's log whether it can read the request: node parameters of another version, or a kind of installation that it does not know, make it fail with every answer",
  },
  startAgent: {
    description: "start the agent on the machine with the registered key, or see why it cannot reach this server",
    command: (id) => `bmaas agent --machine-id ${id} --key KEY_FILE --endpoint URL`,
  },
  changeAgent: {
    description: "run an agent on the machine that knows this kind of installation, then request it again",
  },
  findOut: {
    description:
      "see at the machine's console or its provider whether it runs, and whether its agent reaches this server",
  },
  request: {
    description: "request an installation, which wipes the machine's root device",
    command: (id) => `bmaas install request ${id} ${whatToInstall}`,
  },
  supersede: {
    description: "request another installation in its place, although the agent may be installing this one",
    command: (id) => `bmaas install request ${id} ${whatToInstall} --supersede`,
  },
  retry: {
    description: "request the same installation once more, which wipes the machine's root device",
    command: (id) => `bmaas install retry ${id}`,
  },
  cancel: {
    description: "take the request back",
    command: (id) => `bmaas install cancel ${id}`,
  },
  remove: {
    description: "delete the machine",
    command: (id) => `bmaas machines delete ${id}`,
  },
  showHistory: {
    description: "see what happened before",
    command: (id) => `bmaas history ${id}`,
  },
  showHardware: {
    description: "see the machine's hardware",
    command: (id) => `bmaas hardware ${id}`,
  },
} as const satisfies Readonly<Record<string, Remedy>>;

/** Name of a remedy. */
export type RemedyName = keyof typeof remedies;
