/** `bmaas machines create` */
import { Command } from "commander";
import { CreateMachineResponseSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { printable } from "../../base/printable.ts";
import { labelArgument, machineIdArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, print, printMessage } from "../operator/output.ts";
import { addExpectedOptions, readExpected } from "./expected-options.ts";
import { addProvidedOptions, type ProvidedFlags, readProvided } from "./provided-options.ts";

interface CreateFlags extends OperatorFlags, ProvidedFlags {
  readonly id?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly expectSerial?: string;
  readonly expectUuid?: string;
  readonly expectMac?: readonly string[];
}

/** Creates the command `bmaas machines create`. */
export function createCommand(): Command {
  const command = addProvidedOptions(
    new Command("create")
      .description("create a machine and print its id")
      .option("--id <uuid>", "the machine's id (default: the server generates one)", machineIdArgument)
      .option("--label <key=value>", "a label of the machine; repeat for more", labelArgument),
  );
  addExpectedOptions(command, { serial: "--expect-serial", uuid: "--expect-uuid", mac: "--expect-mac" }).action(
    operate(async (operator, { id = "", label: labels = {}, json, ...flags }: CreateFlags) => {
      const provided = readProvided(flags);
      const expected = readExpected(flags.expectSerial, flags.expectUuid, flags.expectMac);
      const request = { machineId: id, labels, ...(provided && { provided }), ...(expected && { expected }) };
      const response = await operator.client(MachineService).createMachine(request);
      if (json) return printMessage(CreateMachineResponseSchema, response);
      // Standard output contains only the id, for ID=$(bmaas machines create).
      note("created the machine with id:");
      print(printable(response.machine?.id ?? ""));
    }),
  );
  return addOperatorOptions(command, {
    examples: [
      "ID=$(bmaas machines create --provider equinix --provider-id rack-3-slot-7 --location am6 --label rack=r3)",
      "bmaas machines create --provider lab --provider-id GK47PX2 --expect-serial GK47PX2",
      "bmaas machines create --id 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11",
    ],
    more: ["\nWith --json: one CreateMachineResponse of bmaas.admin.v1."],
  });
}
