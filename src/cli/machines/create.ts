/** `bmaas machines create` */
import { Command } from "commander";
import { CreateMachineResponseSchema, MachineService } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import { printable } from "../../base/printable.ts";
import { collect, labelArgument, machineIdArgument } from "../operator/arguments.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, print, printMessage } from "../operator/output.ts";
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
      .option("--label <key=value>", "a label of the machine; repeat for more", labelArgument)
      .option("--expect-serial <text>", "the serial number by which the machine will be known when its agent enrols")
      .option("--expect-uuid <uuid>", "its SMBIOS UUID")
      .option("--expect-mac <address>", "a MAC address that it has; repeat for more", collect),
  ).action(
    operate(async (operator, { id = "", label: labels = {}, json, ...flags }: CreateFlags) => {
      const provided = readProvided(flags);
      const { expectSerial: serialNumber = "", expectUuid: systemUuid = "", expectMac = [] } = flags;
      const expected = { serialNumber, systemUuid, macAddresses: [...expectMac] };
      const isExpected = serialNumber !== "" || systemUuid !== "" || expectMac.length > 0;
      const request = { machineId: id, labels, ...(provided && { provided }), ...(isExpected && { expected }) };
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
