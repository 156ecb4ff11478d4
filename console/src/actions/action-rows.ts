/** What an operator can do with a machine, who may, and why it cannot be done now. */
import { InstallationState } from "@api/installation_pb.js";
import type { Machine } from "@api/machine_pb.js";
import { Role } from "@api/role_pb.js";
import { nameInstallationState } from "../ui/installation-state.tsx";

/** Name of an action. */
export type ActionName =
  | "request"
  | "supersede"
  | "retry"
  | "cancel"
  | "hold"
  | "release"
  | "label"
  | "register"
  | "replaceKey"
  | "revoke"
  | "provide"
  | "expect"
  | "alert"
  | "delete";

interface ActionRow {
  readonly title: string;
  readonly role: Role;
  /** Returns why the action cannot be carried out with the machine as it is. */
  readonly findObstacle?: (machine: Machine) => string | undefined;
}

/** All actions. */
export const actionRows: Readonly<Record<ActionName, ActionRow>> = {
  request: { title: "Install…", role: Role.OPERATOR, findObstacle: findBlock },
  supersede: { title: "Supersede…", role: Role.OPERATOR, findObstacle: findBlock },
  retry: {
    title: "Install again…",
    role: Role.OPERATOR,
    findObstacle: (machine) => findBlock(machine) ?? whyNoRetry(machine),
  },
  cancel: { title: "Cancel the installation…", role: Role.OPERATOR, findObstacle: whyNoCancel },
  hold: { title: "Hold…", role: Role.OPERATOR },
  release: {
    title: "Release…",
    role: Role.OPERATOR,
    findObstacle: ({ hold }) => (hold === undefined ? "The machine is not held." : undefined),
  },
  label: { title: "Labels…", role: Role.OPERATOR },
  register: {
    title: "Register the key…",
    role: Role.OPERATOR,
    findObstacle: ({ agent }) => (agent === undefined ? undefined : "A key is registered: replace it instead."),
  },
  replaceKey: {
    title: "Replace the key…",
    role: Role.OPERATOR,
    findObstacle: whyNoKey,
  },
  revoke: { title: "Revoke the key…", role: Role.OPERATOR, findObstacle: whyNoKey },
  provide: { title: "Set the provider…", role: Role.OPERATOR },
  expect: { title: "Set what is expected…", role: Role.OPERATOR },
  alert: { title: "Health alert…", role: Role.OPERATOR },
  delete: { title: "Delete…", role: Role.ADMIN },
};

function findBlock({ hold, health }: Machine): string | undefined {
  if (hold !== undefined) return "The machine is held: release it first.";
  if (health?.blocksInstall) return "A health alert keeps installations away: it has to be taken back first.";
  return undefined;
}

function whyNoKey({ agent }: Machine): string | undefined {
  return agent === undefined ? "No key is registered: register one instead." : undefined;
}

function whyNoRetry({ installation }: Machine): string | undefined {
  if (installation === undefined) return "There is no installation to retry.";
  // A pending one can be retried if it is withheld because of its disk; the server knows.
  const { FAILED, OVERDUE, PENDING } = InstallationState;
  if ([FAILED, OVERDUE, PENDING].includes(installation.state)) return undefined;
  return `The newest installation is ${nameInstallationState(installation.state)}: only one that failed, is overdue or is withheld can be retried.`;
}

function whyNoCancel({ installation }: Machine): string | undefined {
  if (installation?.state === InstallationState.PENDING) return undefined;
  return "Only an installation that no agent has been given yet can be cancelled, and there is none.";
}

/** Commands of remedies, and the actions that do the same. */
const commands: readonly (readonly [RegExp, ActionName])[] = [
  [/^bmaas install request .*--supersede\b/, "supersede"],
  [/^bmaas install request /, "request"],
  [/^bmaas install retry /, "retry"],
  [/^bmaas install cancel /, "cancel"],
  [/^bmaas machines hold /, "hold"],
  [/^bmaas machines release /, "release"],
  [/^bmaas machines label /, "label"],
  [/^bmaas machines set-provided /, "provide"],
  [/^bmaas machines delete /, "delete"],
  [/^bmaas machines expect /, "expect"],
  [/^bmaas agents register /, "register"],
  [/^bmaas agents replace /, "replaceKey"],
];

/** Returns the action that does the same as a command; undefined if only the command line does it. */
export function findAction(command: string): ActionName | undefined {
  return commands.find(([pattern]) => pattern.test(command))?.[1];
}
