/** `bmaas history` */
import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import { type Event, HistoryService, ListEventsResponseSchema } from "../../gen/bmaas/admin/v1/history_service_pb.js";
import { ConfigError } from "../config/config.ts";
import { historyKinds } from "../contract/history-kinds.ts";
import { limitArgument, machineIdArgument, pastTimeArgument } from "./operator/arguments.ts";
import { describeDetail } from "./operator/event-text.ts";
import { listPages } from "./operator/list-pages.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "./operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "./operator/output.ts";
import { parseSelector, selectorHelp } from "./operator/selector.ts";
import { addSelector, type TargetFlags } from "./operator/targets.ts";
import { timeOf } from "./operator/timestamp-text.ts";

interface HistoryFlags extends OperatorFlags, TargetFlags {
  readonly since?: number;
  readonly until?: number;
  readonly kind?: readonly string[];
  readonly actor?: readonly string[];
  readonly limit?: number;
}

const defaultLimit = 50;

/** Creates the command `bmaas history`. */
export function historyCommand(): Command {
  const command = addSelector(
    new Command("history").argument("[machine-id]", "the machine (default: all machines)", machineIdArgument),
  )
    .option(
      "--since <time>",
      "events from this time on: an age such as 90s, 15m, 2h or 30d, or a date",
      pastTimeArgument,
    )
    .option("--until <time>", "events before this time, in the same forms", pastTimeArgument)
    .addOption(new Option("--kind <kinds...>", "only events of these kinds").choices(historyKinds))
    .option("--actor <actors...>", 'only events of these actors; "*" at the end stands for anything, as in "token:*"')
    .option("--limit <number>", "maximum number of events to show (default: 50, or all with --since)", limitArgument)
    .action(
      operate(async (operator, flags: HistoryFlags, machineId: string | undefined) => {
        const { since, until, json, selector } = flags;
        const limit = flags.limit ?? (since === undefined ? defaultLimit : undefined);
        if (machineId !== undefined && selector !== undefined) {
          throw new ConfigError(["give either a machine id or --selector, not both"]);
        }
        if (since !== undefined && until !== undefined && until <= since) {
          throw new ConfigError(["--until: must be later than --since; of two ages, the smaller one is later"]);
        }
        const client = operator.client(HistoryService);
        const request = {
          machineId: machineId ?? "",
          kinds: [...(flags.kind ?? [])],
          actors: [...(flags.actor ?? [])],
          ...(selector && { filter: parseSelector(selector) }),
          ...(since !== undefined && { startTime: timestampFromMs(since) }),
          ...(until !== undefined && { endTime: timestampFromMs(until) }),
        };
        const events = await listPages(
          (page) => client.listEvents({ ...request, ...page }),
          (answer) => answer.events,
          limit,
        );
        if (json) return printMessage(ListEventsResponseSchema, create(ListEventsResponseSchema, { events }));
        if (events.length > 0) return printEvents(events, machineId !== undefined);
        const isFiltered = request.kinds.length + request.actors.length > 0 || [since, until, selector].some(Boolean);
        note(
          isFiltered ? "no event matches" : `there is no history${machineId === undefined ? "" : " of this machine"}`,
        );
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas history --since 1h",
      'bmaas history --since 2026-03-01 --until 2026-03-02 --actor "token:*" "oidc:*"',
      "bmaas history --kind installation_requested machine_held --selector label.rack=r12",
      "bmaas history 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
      "bmaas history --since 30d --limit 100000 --json | jq -r '.events[].actor' | sort | uniq -c",
    ],
    more: [
      selectorHelp,
      "\nA date is one such as 2026-03-01, 2026-03-01T12:30Z or 2026-03-01T12:30+01:00; it is one of UTC without an offset.",
      "\nWith --json: one ListEventsResponse of bmaas.admin.v1.",
    ],
  });
}

function printEvents(events: readonly Event[], isOfOne: boolean): void {
  const columns = events.map((event) => {
    const [time = "-", ...others] = toRow(event);
    return isOfOne ? [time, ...others] : [time, event.machineId || event.enrolmentId, ...others];
  });
  printTable(["TIME", ...(isOfOne ? [] : ["MACHINE"]), "ACTOR", "EVENT", "DETAIL"], columns);
}

function toRow({ eventTime, actor, kind, detail }: Event): Cell[] {
  const time = eventTime && timestampDate(eventTime);
  return [timeOf(eventTime) ?? "-", shortenKey(actor), kind, describeDetail({ kind, detail, time })];
}

/** Shortens the 64 digits of an agent's key, which `machines get` shows in full. */
function shortenKey(actor: string): string {
  return actor.replace(/^(agent:[0-9a-f]{12})[0-9a-f]{52}$/, "$1…");
}
