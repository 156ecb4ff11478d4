/** `bmaas history` */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import { type Event, HistoryService, ListEventsResponseSchema } from "../../gen/bmaas/admin/v1/history_service_pb.js";
import { limitArgument, machineIdArgument } from "./operator/arguments.ts";
import { describeDetail } from "./operator/event-text.ts";
import { listPages } from "./operator/list-pages.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "./operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "./operator/output.ts";
import { timeOf } from "./operator/timestamp-text.ts";

interface HistoryFlags extends OperatorFlags {
  readonly limit: number;
}

/** Creates the command `bmaas history`. */
export function historyCommand(): Command {
  const command = new Command("history")
    .argument("<machine-id>", "the machine", machineIdArgument)
    .option("--limit <number>", "maximum number of events to show", limitArgument, 50)
    .action(
      operate(async (operator, { limit, json }: HistoryFlags, machineId: string) => {
        const client = operator.client(HistoryService);
        const events = await listPages(
          (page) => client.listEvents({ machineId, ...page }),
          (answer) => answer.events,
          limit,
        );
        if (json) return printMessage(ListEventsResponseSchema, create(ListEventsResponseSchema, { events }));
        if (events.length > 0) printTable(["TIME", "ACTOR", "EVENT", "DETAIL"], events.map(toRow));
        else note("there is no history of this machine");
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas history 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas history 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --limit 1000 --json | jq -r '.events[].actor' | sort | uniq -c",
    ],
    more: ["\nWith --json: one ListEventsResponse of bmaas.admin.v1."],
  });
}

function toRow({ eventTime, actor, kind, detail }: Event): Cell[] {
  const time = eventTime && timestampDate(eventTime);
  return [timeOf(eventTime) ?? "-", shortenKey(actor), kind, describeDetail({ kind, detail, time })];
}

/** Shortens the 64 digits of an agent's key, which `machines get` shows in full. */
function shortenKey(actor: string): string {
  return actor.replace(/^(agent:[0-9a-f]{12})[0-9a-f]{52}$/, "$1…");
}
