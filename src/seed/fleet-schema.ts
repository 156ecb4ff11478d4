/** The schema of a seed file: what each field may hold, and which fields may be combined. */
import { z } from "zod";
import {
  checkDiskSelector,
  type DiskSelector,
  diskPicks,
  parseDiskBytes,
  parseDiskPath,
  parseDiskText,
  parseDiskWwn,
} from "../contract/disk-selector.ts";
import {
  parseExpectedMac,
  parseExpectedSerialNumber,
  parseExpectedUuid,
  sortExpectedMacs,
} from "../contract/expected.ts";
import {
  InvalidFieldError,
  parseDevice,
  parseDigest,
  parseImageTag,
  parseImageUrl,
  parseRegistryName,
} from "../contract/installation-rules.ts";
import { maxLabels, parseLabelKey, parseLabelValue } from "../contract/labels.ts";
import { InvalidMachineIdError, parseMachineId } from "../contract/machine-id.ts";
import { InvalidPublicKeyError, parseKeyEncoding } from "../contract/public-key.ts";
import { providerStatuses } from "../db/schema/provided.ts";
import { parseBase64, parseEncodedNodeParameters, parseGeneration, parseText, parseUserData } from "./fields.ts";

/** Makes zod check a rule about several fields even if one of them is invalid. */
const always = {
  when: ({ value }: { value: unknown }) => typeof value === "object" && value !== null && !Array.isArray(value),
};

const text = parsed(z.string(), parseText);

const provided = z.strictObject({
  provider: text,
  providerId: text,
  reservation: text.nullable().optional(),
  address: text.nullable().optional(),
  location: text.nullable().optional(),
  status: z.enum(providerStatuses).optional(),
});

const labels = z
  .record(parsed(z.string(), parseLabelKey), parsed(z.string(), parseLabelValue).nullable())
  .refine((value) => Object.values(value).filter((each) => each !== null).length <= maxLabels, {
    ...always,
    error: `are more than the ${maxLabels} that a machine can have`,
  });

/** By what the machine will be known when its agent enrols, in place of anything before; null for nothing. */
const expect = z
  .strictObject({
    serialNumber: parsed(z.string(), parseExpectedSerialNumber).optional(),
    systemUuid: parsed(z.string(), parseExpectedUuid).optional(),
    macAddresses: parsed(z.array(parsed(z.string(), parseExpectedMac)).min(1), sortExpectedMacs).optional(),
  })
  .refine((value) => Object.keys(value).length > 0, {
    error: "says nothing; give it serialNumber, systemUuid or macAddresses, or leave it out",
  });

const agent = z.strictObject({ publicKey: parsed(z.string(), parseKeyEncoding) });

const image = z
  .strictObject({
    url: parsed(z.string(), parseImageUrl),
    digest: parsed(z.string(), parseDigest),
    rootDevice: parsed(z.string(), parseDevice).optional(),
    userData: parsed(z.string(), parseUserData).optional(),
    userDataBase64: parsed(z.string(), parseBase64).optional(),
  })
  .refine((value) => !("userData" in value && "userDataBase64" in value), {
    ...always,
    path: ["userDataBase64"],
    error: "repeats userData; keep one of the two",
  });

const metropolis = z.strictObject({
  nodeParameters: parsed(z.string(), parseEncodedNodeParameters),
  rootDevice: parsed(z.string(), parseDevice).optional(),
  osImage: z.strictObject({
    scheme: z.enum(["https", "http"]),
    host: parsed(z.string(), parseRegistryName),
    repository: parsed(z.string(), parseRegistryName),
    tag: parsed(z.string(), parseImageTag).default(""),
    digest: parsed(z.string(), parseDigest),
  }),
});

const bytes = parsed(z.union([z.bigint()], { error: "is not a whole number of bytes" }), parseDiskBytes);
const yes = z.literal(true, { error: "is not true; leave it out, or write true" });

const disk = z
  .strictObject({
    serialNumber: parsed(z.string(), parseDiskText).optional(),
    wwn: parsed(z.string(), parseDiskWwn).optional(),
    path: parsed(z.string(), parseDiskPath).optional(),
    model: parsed(z.string(), parseDiskText).optional(),
    minBytes: bytes.optional(),
    maxBytes: bytes.optional(),
    rotational: z.boolean().optional(),
    protocol: z.enum(["nvme", "ata", "scsi", "mmc"]).optional(),
    smallest: yes.optional(),
    largest: yes.optional(),
    only: yes.optional(),
  })
  .superRefine((value, context) => {
    const picks = diskPicks.filter((pick) => pick in value);
    if (picks.length > 1) {
      context.addIssue({ code: "custom", message: `has ${picks.join(" and ")}; keep one of them` });
      return;
    }
    try {
      checkDiskSelector(toDiskSelector(value));
    } catch (error) {
      if (!isFieldError(error)) throw error;
      context.addIssue({ code: "custom", message: error.message });
    }
  });

/** Returns the selector that a file's `disk` stands for. */
export function toDiskSelector(value: z.output<typeof disk>): DiskSelector {
  const { smallest, largest, only, ...facts } = value;
  const pick = smallest ? "smallest" : largest ? "largest" : only ? "only" : undefined;
  return { ...facts, ...(pick !== undefined && { pick }) };
}

const install = z
  .strictObject({
    generation: parsed(
      z.union([z.bigint(), z.string()], { error: "is not a whole number; write one such as 123" }),
      parseGeneration,
    ).optional(),
    /** Whether to request an image even of an agent that has never shown that it supports images. */
    force: z.boolean().optional(),
    image: image.optional(),
    metropolis: metropolis.optional(),
    disk: disk.optional(),
    /** Whether to take the disk that has the root device's name, whatever the hardware report says. */
    uncheckedDisk: z.boolean().optional(),
  })
  .refine((value) => "image" in value || "metropolis" in value, {
    ...always,
    error: "has nothing to install; give it image or metropolis",
  })
  .refine((value) => !("image" in value && "metropolis" in value), {
    ...always,
    path: ["metropolis"],
    error: "a machine gets one operating system; keep either image or metropolis",
  })
  .refine((value) => value.disk !== undefined || rootDeviceOf(value) !== undefined || !hasSystem(value), {
    ...always,
    error: "does not say which disk to install onto; give it disk, or image or metropolis a rootDevice",
  })
  .refine((value) => value.disk === undefined || rootDeviceOf(value) === undefined, {
    ...always,
    path: ["disk"],
    error: "repeats which disk to install onto; keep either disk or rootDevice",
  })
  .refine((value) => value.uncheckedDisk !== true || value.disk === undefined, {
    ...always,
    path: ["uncheckedDisk"],
    error: "needs rootDevice, and not disk, which is looked up",
  });

interface Targeted {
  readonly image?: { readonly rootDevice?: string | undefined } | undefined;
  readonly metropolis?: { readonly rootDevice?: string | undefined } | undefined;
}

function hasSystem({ image, metropolis }: Targeted): boolean {
  return image !== undefined || metropolis !== undefined;
}

function rootDeviceOf({ image, metropolis }: Targeted): string | undefined {
  return image?.rootDevice ?? metropolis?.rootDevice;
}

/** Schema of one machine of a file. Whether a new key is a point of Ed25519 is left to `check-new-keys.ts`. */
export const machineSchema = z
  .strictObject({
    id: parsed(z.string(), parseMachineId).optional(),
    provided: provided.optional(),
    labels: labels.optional(),
    agent: agent.optional(),
    expect: expect.nullable().optional(),
    install: install.optional(),
  })
  .refine((value) => "id" in value || "provided" in value || "agent" in value, {
    ...always,
    error:
      "cannot be found again by a second run, which would create it again; give it an id (uuidgen makes one), provided or agent",
  });

/** Schema of a whole file, apart from its machines. */
export const fleetSchema = z.strictObject({ machines: z.array(z.unknown()) });

/** One machine of a file, with every field in the form in which it is stored. */
export type FleetMachine = z.output<typeof machineSchema>;

/** The installation that a file requests for a machine. */
export type Install = NonNullable<FleetMachine["install"]>;

/** Returns the names of the fields that the object at `path` of a machine may have. */
export function fieldsOfMachine(path: readonly PropertyKey[]): string[] {
  let schema: unknown = machineSchema;
  for (const step of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject) schema = schema.shape[String(step)];
  }
  schema = unwrap(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ? unwrap(schema.unwrap()) : schema;
}

/** Returns a schema whose value `parse` produces. An error of `parse` about the value becomes an issue. */
function parsed<I, O>(schema: z.ZodType<I>, parse: (input: I) => O) {
  return schema.transform((input, context): O => {
    try {
      return parse(input);
    } catch (error) {
      if (!isFieldError(error)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });
}

function isFieldError(error: unknown): error is Error {
  return (
    error instanceof InvalidFieldError ||
    error instanceof InvalidMachineIdError ||
    error instanceof InvalidPublicKeyError
  );
}
