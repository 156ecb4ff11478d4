/** The fields of what operators say of a machine: the provider's data, and by what its agent will be known. */
import {
  type Expected,
  type ExpectedSchema,
  type Provided,
  type ProvidedSchema,
  ProviderStatus,
} from "@api/machine_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { namesOf } from "../../../src/contract/enum-names.ts";
import { parseExpectedMac, parseExpectedSerialNumber, parseExpectedUuid } from "../../../src/contract/expected.ts";
import { SelectField, TextField } from "../ui/fields.tsx";

/** Statuses of machines according to their providers. */
const statuses = namesOf<ProviderStatus>(ProviderStatus);

/** The provider's data as it is typed. */
export type TypedProvided = Readonly<Record<(typeof providedTexts)[number][0] | "status", string>>;

/** Texts of the provider's data, their labels and their options of the command line. */
const providedTexts = [
  ["provider", "Provider", "--provider"],
  ["providerId", "Provider's id of the machine", "--provider-id"],
  ["location", "Location (optional)", "--location"],
  ["reservation", "Reservation (optional)", "--reservation"],
  ["address", "Address (optional)", "--address"],
] as const;

/** Returns the data as it would have been typed. */
export function typeProvided(provided?: Provided): TypedProvided {
  const { provider = "", providerId = "", location = "", reservation = "", address = "", status = 0 } = provided ?? {};
  const name = status === ProviderStatus.UNSPECIFIED ? "" : statuses.nameOf(status);
  return { provider, providerId, location, reservation, address, status: name };
}

/** Returns the data, undefined if nothing was typed, or what is wrong. */
export function readProvided(typed: TypedProvided): MessageInitShape<typeof ProvidedSchema> | string | undefined {
  const { status, ...texts } = typed;
  if (Object.values(typed).every((text) => text.trim() === "")) return undefined;
  const trimmed = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.trim()]));
  if (!trimmed.provider || !trimmed.providerId) return "Write the provider's name and its id of the machine.";
  const known = statuses.find(status);
  return { ...trimmed, ...(known !== undefined && { status: known }) };
}

/** Returns the options of the command line for the data. */
export function toProvidedOptions(typed: TypedProvided): string[] {
  const texts = providedTexts.flatMap(([name, , option]) =>
    typed[name].trim() === "" ? [] : [option, typed[name].trim()],
  );
  return typed.status === "" ? texts : [...texts, "--status", typed.status];
}

/** Asks for the provider's data. */
export function ProvidedFields(props: {
  readonly typed: TypedProvided;
  readonly onChange: (typed: TypedProvided) => void;
}) {
  const { typed, onChange } = props;
  return (
    <>
      {providedTexts.map(([name, label]) => (
        <TextField
          key={name}
          label={label}
          value={typed[name]}
          onChange={(value) => onChange({ ...typed, [name]: value })}
        />
      ))}
      <SelectField
        label="Status according to the provider"
        value={typed.status}
        choices={[["", "unknown"], ...statuses.names.map((name) => [name, name] as const)]}
        onChange={(status) => onChange({ ...typed, status })}
      />
    </>
  );
}

/** By what an agent will be known, as it is typed. */
export interface TypedExpected {
  readonly serialNumber: string;
  readonly systemUuid: string;
  /** Separated by spaces or commas. */
  readonly macAddresses: string;
}

/** Returns the facts as they would have been typed. */
export function typeExpected(expected?: Expected): TypedExpected {
  const { serialNumber = "", systemUuid = "", macAddresses = [] } = expected ?? {};
  return { serialNumber, systemUuid, macAddresses: macAddresses.join(" ") };
}

/** Returns the facts, undefined if nothing was typed, or what is wrong. */
export function readExpected(typed: TypedExpected): MessageInitShape<typeof ExpectedSchema> | string | undefined {
  const [serialNumber, systemUuid] = [typed.serialNumber.trim(), typed.systemUuid.trim()];
  const macAddresses = splitMacs(typed);
  if (serialNumber === "" && systemUuid === "" && macAddresses.length === 0) return undefined;
  const parts = [
    ...(serialNumber === "" ? [] : [["The serial number", serialNumber, parseExpectedSerialNumber] as const]),
    ...(systemUuid === "" ? [] : [["The UUID", systemUuid, parseExpectedUuid] as const]),
    ...macAddresses.map((mac) => [`The address ${mac}`, mac, parseExpectedMac] as const),
  ];
  for (const [what, text, parse] of parts) {
    try {
      parse(text);
    } catch (error) {
      return `${what} ${(error as Error).message}.`;
    }
  }
  return { serialNumber, systemUuid, macAddresses };
}

/** Returns the options of the command line for the facts. `prefix` stands between "--" and "serial". */
export function toExpectedOptions(typed: TypedExpected, prefix = ""): string[] {
  const option = (name: string, text: string) => (text === "" ? [] : [`--${prefix}${name}`, text]);
  return [
    ...option("serial", typed.serialNumber.trim()),
    ...option("uuid", typed.systemUuid.trim()),
    ...splitMacs(typed).flatMap((mac) => option("mac", mac)),
  ];
}

function splitMacs({ macAddresses }: TypedExpected): string[] {
  return macAddresses.split(/[\s,]+/).filter(Boolean);
}

/** Asks by what the agent will be known. */
export function ExpectedFields(props: {
  readonly typed: TypedExpected;
  readonly onChange: (typed: TypedExpected) => void;
}) {
  const { typed, onChange } = props;
  return (
    <>
      <TextField
        label="Serial number (optional)"
        value={typed.serialNumber}
        onChange={(serialNumber) => onChange({ ...typed, serialNumber })}
      />
      <TextField
        label="System UUID (optional)"
        value={typed.systemUuid}
        onChange={(systemUuid) => onChange({ ...typed, systemUuid })}
      />
      <TextField
        label="MAC addresses (optional)"
        hint="Separated by spaces; the machine may have more."
        value={typed.macAddresses}
        onChange={(macAddresses) => onChange({ ...typed, macAddresses })}
      />
    </>
  );
}
