/** The options that say by what a machine will be known when its agent enrols. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type { ExpectedSchema } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { collect } from "../operator/arguments.ts";

/** Names of the flags, as users type them. */
export interface ExpectedFlagNames {
  readonly serial: string;
  readonly uuid: string;
  readonly mac: string;
}

/** Adds the options. */
export function addExpectedOptions(command: Command, { serial, uuid, mac }: ExpectedFlagNames): Command {
  return command
    .option(`${serial} <text>`, "the serial number by which the machine will be known when its agent enrols")
    .option(`${uuid} <uuid>`, "its SMBIOS UUID")
    .option(`${mac} <address>`, "a MAC address that it has; repeat for more", collect);
}

/** Returns the facts, or undefined without any of the options. */
export function readExpected(
  serialNumber = "",
  systemUuid = "",
  macAddresses: readonly string[] = [],
): MessageInitShape<typeof ExpectedSchema> | undefined {
  if (serialNumber === "" && systemUuid === "" && macAddresses.length === 0) return undefined;
  return { serialNumber, systemUuid, macAddresses: [...macAddresses] };
}
