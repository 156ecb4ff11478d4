/** `bmaas machines label` */
import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { BatchMode } from "../../../gen/bmaas/admin/v1/batch_pb.js";
import {
  MachineService,
  SetLabelsRequestSchema,
  SetLabelsResponseSchema,
} from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ConfigError } from "../../config/config.ts";
import { parseLabelKey, parseLabelValue } from "../../contract/labels.ts";
import { parseMachineId } from "../../contract/machine-id.ts";
import { quote } from "../../contract/selector-terms.ts";
import { inBatches } from "../operator/act-in-batches.ts";
import { actAndReport, severalHelp } from "../operator/act-on-each.ts";
import { addOnce, parseQuoted } from "../operator/arguments.ts";
import { showLabels } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { messageToJson } from "../operator/output.ts";
import { addSelector, confirm, findTargets, type TargetFlags } from "../operator/targets.ts";

type LabelFlags = OperatorFlags & TargetFlags;

/** Creates the command `bmaas machines label`. */
export function labelCommand(): Command {
  const command = addSelector(new Command("label"))
    .description("set and remove labels of machines; other labels stay as they are")
    .argument("<id|KEY=VALUE|KEY-...>", "the machines, by id; KEY=VALUE sets a label, KEY- removes one")
    .option("--yes", "act on more than one machine without asking")
    .action(
      operate(async (operator, flags: LabelFlags, words: readonly string[]) => {
        const { machineIds, set, remove } = readWords(words);
        const targets = await findTargets(operator, machineIds, flags);
        await confirm(targets, flags, "Label #?");
        const client = operator.client(MachineService);
        await actAndReport(operator, targets, flags, {
          act: inBatches({
            schema: SetLabelsRequestSchema,
            toRequest: ({ machineId }) => ({ machineId, set, remove: [...remove] }),
            send: (request) => client.setLabels(request),
            sendBatch: async (requests) => {
              const batch = { requests, mode: BatchMode.PARTIAL_SUCCESS };
              const { machines, failedRequests } = await client.batchSetLabels(batch);
              return { answers: machines, failedRequests };
            },
            toAnswer: (machine) => create(SetLabelsResponseSchema, { machine }),
          }),
          describe: ({ machine }, { machineId }) => `${machineId}  ${showLabels(machine?.labels ?? {}) || "no labels"}`,
          toJson: (response) => messageToJson(SetLabelsResponseSchema, response),
        });
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines label 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 rack=r12 team-",
      "bmaas machines label --selector location=am6 --yes example.com/site=north",
    ],
    more: [
      "\nKeys and values are written as in Kubernetes: letters, digits, '.', '_' and '-', at most 63; a key may have a DNS" +
        "\ndomain and a slash before it. A machine has at most 32 labels.",
      severalHelp("SetLabelsResponse"),
    ],
  });
}

interface Words {
  readonly machineIds: readonly string[] | undefined;
  readonly set: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
}

/**
 * Distinguishes ids from labels. Throws ConfigError with every word that is neither, and every label that is given
 * twice.
 */
function readWords(words: readonly string[]): Words {
  let machineIds: readonly string[] = [];
  const labels = new Map<string, string | undefined>();
  const mistakes: string[] = [];
  for (const word of words) {
    try {
      const label = readLabel(word);
      if (label === undefined) machineIds = addOnce(readMachineId(word), machineIds);
      else if (labels.has(label.key)) mistakes.push(`${label.key} is given twice`);
      else labels.set(label.key, label.value);
    } catch (error) {
      mistakes.push((error as Error).message);
    }
  }
  if (labels.size === 0 && mistakes.length === 0) mistakes.push("name a label: KEY=VALUE sets it, KEY- removes it");
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  const set = [...labels].flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  const remove = [...labels].flatMap(([key, value]) => (value === undefined ? [key] : []));
  return { machineIds: machineIds.length === 0 ? undefined : machineIds, set: Object.fromEntries(set), remove };
}

function readMachineId(word: string): string {
  try {
    return parseMachineId(word);
  } catch {
    throw new Error(`${quote(word)} is neither a machine id nor a label: KEY=VALUE sets a label, KEY- removes it`);
  }
}

function readLabel(word: string): { readonly key: string; readonly value: string | undefined } | undefined {
  const equals = word.indexOf("=");
  if (equals >= 0) {
    const [key, value] = [word.slice(0, equals), word.slice(equals + 1)];
    return { key: parseQuoted(key, parseLabelKey), value: parseQuoted(value, parseLabelValue) };
  }
  if (word.endsWith("-")) return { key: parseQuoted(word.slice(0, -1), parseLabelKey), value: undefined };
  return undefined;
}
