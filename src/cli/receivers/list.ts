/** `bmaas receivers list` */
import { Command } from "commander";
import {
  ListReceiversResponseSchema,
  type Receiver,
  ReceiverService,
} from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { type Cell, note, printMessage, printTable } from "../operator/output.ts";
import { ageOf } from "../operator/timestamp-text.ts";

/** Creates the command `bmaas receivers list`. */
export function listCommand(): Command {
  const command = new Command("list").description("list receivers and how they answer, without their secrets").action(
    operate(async (operator, { json }: OperatorFlags) => {
      const response = await operator.client(ReceiverService).listReceivers({});
      if (json) return printMessage(ListReceiversResponseSchema, response);
      if (response.receivers.length === 0) return note("there are no receivers");
      const header = ["NAME", "URL", "EVENTS", "SECRETS", "ACCEPTED", "WAITING", "STATE"];
      printTable(header, response.receivers.map(toRow));
    }),
  );
  return addOperatorOptions(command, {
    examples: ["bmaas receivers list"],
    more: ["\nOf URLs, only the origin is shown.\n\nWith --json: one ListReceiversResponse of bmaas.admin.v1."],
  });
}

function toRow(receiver: Receiver): Cell[] {
  const { name, origin, events, secretTimes, lastSuccessTime, waitingDeliveries, oldestWaitingTime } = receiver;
  const waiting = oldestWaitingTime === undefined ? "-" : `${waitingDeliveries}, oldest ${ageOf(oldestWaitingTime)}`;
  const accepted = ageOf(lastSuccessTime, "never");
  return [name, origin, events.join(","), String(secretTimes.length), accepted, waiting, showState(receiver)];
}

function showState({ failing, failures, firstFailureTime, lastError }: Receiver): Cell {
  const since = firstFailureTime === undefined ? "" : ` since ${ageOf(firstFailureTime)}: ${lastError}`;
  if (failing) return { text: since === "" ? "gave up events" : `failing${since}`, style: "red" };
  if (failures > 0n) return { text: `retrying${since}`, style: "yellow" };
  return { text: "ok", style: "green" };
}
