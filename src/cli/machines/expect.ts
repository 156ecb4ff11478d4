/** `bmaas machines expect` */
import { Command } from "commander";
import { MachineService, SetExpectedResponseSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { ConfigError } from "../../config/config.ts";
import { machineIdArgument } from "../operator/arguments.ts";
import { printMachine } from "../operator/machine-text.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { printMessage } from "../operator/output.ts";
import { addExpectedOptions, readExpected } from "./expected-options.ts";

interface ExpectFlags extends OperatorFlags {
  readonly serial?: string;
  readonly uuid?: string;
  readonly mac?: readonly string[];
  readonly clear?: boolean;
}

/** Creates the command `bmaas machines expect`. */
export function expectCommand(): Command {
  const command = addExpectedOptions(
    new Command("expect")
      .description("say by what a machine will be known when its agent enrols; options left out remove their facts")
      .argument("<machine-id>", "the machine", machineIdArgument),
    { serial: "--serial", uuid: "--uuid", mac: "--mac" },
  )
    .option("--clear", "expect nothing of the machine")
    .action(
      operate(async (operator, { serial, uuid, mac, clear = false, json }: ExpectFlags, machineId: string) => {
        const expected = readExpected(serial, uuid, mac);
        if (clear === (expected !== undefined)) {
          throw new ConfigError(["say by what the machine will be known by --serial, --uuid and --mac, or --clear"]);
        }
        const request = { machineId, ...(expected && { expected }) };
        const response = await operator.client(MachineService).setExpected(request);
        if (json) printMessage(SetExpectedResponseSchema, response);
        else printMachine(response.machine);
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines expect 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --serial GK47PX2 --mac b0:4f:13:0a:1c:2e",
      "bmaas machines expect 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --clear",
    ],
    more: ["\nWith --json: one SetExpectedResponse of bmaas.admin.v1."],
  });
}
