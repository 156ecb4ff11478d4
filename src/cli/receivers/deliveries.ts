/** `bmaas receivers deliveries` */
import { create } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import {
  type Delivery,
  DeliveryState,
  ListDeliveriesResponseSchema,
  ReceiverService,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { limitArgument } from "../operator/arguments.ts";
import { listPages } from "../operator/list-pages.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { deliveryStateNames } from "../operator/state-names.ts";
import { ageOf, timeOf } from "../operator/timestamp-text.ts";

interface DeliveriesFlags extends OperatorFlags {
  readonly limit: number;
  readonly state?: readonly string[];
}

/** Creates the command `bmaas receivers deliveries`. */
export function deliveriesCommand(): Command {
  const command = new Command("deliveries")
    .description("list what was sent to a receiver and what waits to be sent, newest first")
    .argument("<name>", "the receiver")
    .addOption(new Option("--state <states...>", "only deliveries in these states").choices(deliveryStateNames.names))
    .option("--limit <number>", "maximum number to list", limitArgument, 50)
    .action(
      operate(async (operator, { limit, state = [], json }: DeliveriesFlags, name: string) => {
        const client = operator.client(ReceiverService);
        const states = state.flatMap((each) => deliveryStateNames.find(each) ?? []);
        const deliveries = await listPages(
          (page) => client.listDeliveries({ name, states, ...page }),
          (answer) => answer.deliveries,
          limit,
        );
        if (json) {
          return printMessage(ListDeliveriesResponseSchema, create(ListDeliveriesResponseSchema, { deliveries }));
        }
        if (deliveries.length === 0) return note("there are no deliveries");
        printTable(["ID", "EVENT", "MACHINE", "TIME", "STATE", "ATTEMPTS", "LAST ANSWER"], deliveries.map(toRow));
      }),
    );
  return addOperatorOptions(command, {
    examples: ["bmaas receivers deliveries oncall --state waiting given_up"],
    more: [
      "\nDeliveries that have ended are kept for a week. With --json: one ListDeliveriesResponse of bmaas.admin.v1, with the" +
        "\nmessages themselves and the last ten attempts of each.",
    ],
  });
}

const styles = {
  [DeliveryState.UNSPECIFIED]: undefined,
  [DeliveryState.WAITING]: "yellow",
  [DeliveryState.DELIVERED]: "green",
  [DeliveryState.GIVEN_UP]: "red",
} as const;

function toRow({
  id,
  eventType,
  machineId,
  eventTime,
  state,
  attempts,
  lastAttempts,
  nextAttemptTime,
}: Delivery): Cell[] {
  const [last] = lastAttempts;
  const answer =
    last === undefined ? "-" : [last.error || `answered ${last.status}`, last.answer].filter(Boolean).join(": ");
  const next = nextAttemptTime === undefined ? "" : `, next ${ageOf(nextAttemptTime)}`;
  const shown = { text: `${deliveryStateNames.nameOf(state)}${next}`, style: styles[state] };
  return [id, eventType, machineId, timeOf(eventTime) ?? "-", shown, String(attempts), answer];
}
