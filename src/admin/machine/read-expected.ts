/** Reads by what a machine will be known from a call. */
import type { Expected as SentExpected } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import {
  type Expected,
  parseExpectedMac,
  parseExpectedSerialNumber,
  parseExpectedUuid,
  sortExpectedMacs,
} from "../../contract/expected.ts";
import { Violations } from "../violations.ts";

/** Returns the facts. Throws ConnectError with `invalid_argument` for those that identify no machine, and for none. */
export function readExpected(field: string, sent: SentExpected): Expected {
  const violations = new Violations();
  const { serialNumber, systemUuid } = sent;
  const read = (name: string, text: string, parse: (text: string) => string): string | undefined => {
    let value: string | undefined;
    if (text !== "") violations.check(`${field}.${name}`, () => (value = parse(text)));
    return value;
  };
  const macs = sent.macAddresses.map((text, index) => read(`mac_addresses[${index}]`, text || " ", parseExpectedMac));
  const facts = {
    serialNumber: read("serial_number", serialNumber, parseExpectedSerialNumber),
    systemUuid: read("system_uuid", systemUuid, parseExpectedUuid),
    macAddresses: sortExpectedMacs(macs.filter((mac) => mac !== undefined)),
  };
  if (serialNumber === "" && systemUuid === "" && macs.length === 0) {
    violations.add(field, "says nothing: give it serial_number, system_uuid or mac_addresses");
  }
  violations.assertNone();
  return facts;
}
