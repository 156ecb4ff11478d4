/** Converts a decoded EnrolRequest to a database row. */
import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { EnrolRequest } from "../../../gen/bmaas/agent/v1/enrolment_service_pb.js";
import { type AgentHardwareReport, AgentHardwareReportSchema } from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import type { EnrolmentWish } from "../../db/queries/enrolment.ts";
import { toParty } from "../../rpc/callers/attempt-limit.ts";
import { toHardwareFigures } from "../hardware-figures.ts";
import { toIdentifiers } from "../hardware-identifiers.ts";
import type { KeyIdentity } from "../identity/agent-identity.ts";
import { toStorableText } from "../storable-text.ts";

/** Maximum length of a stored version or boot id, in UTF-16 code units, as in enrolment_service.proto. */
const maxWordLength = 128;
/** Maximum size of a stored hardware report, in bytes. One that arrives as JSON can be larger than its text. */
const maxReportBytes = 16_384;
/** Maximum number of stored addresses of network interfaces. */
const maxMacAddresses = 64;

/**
 * Returns the row of an enrolment. Throws ConnectError with `invalid_argument` for a hardware report that is too large.
 */
export function toEnrolmentWish(request: EnrolRequest, identity: KeyIdentity): EnrolmentWish {
  const { hardwareReport, agentVersion, bootId } = request;
  const address = identity.remoteAddress ?? "unknown";
  return {
    publicKey: identity.publicKey,
    source: toParty(address),
    address,
    signatureNonce: identity.nonce ?? null,
    agentVersion: toWord(agentVersion),
    bootId: toWord(bootId),
    ...toDescription(hardwareReport),
  };
}

type Description = Omit<
  EnrolmentWish,
  "publicKey" | "source" | "address" | "signatureNonce" | "agentVersion" | "bootId"
>;

const nothingKnown: Description = {
  manufacturer: null,
  product: null,
  serialNumber: null,
  systemUuid: null,
  macAddresses: [],
  identifiers: [],
  memoryBytes: null,
  cpuThreads: null,
  diskBytes: null,
  report: null,
};

function toDescription(report: AgentHardwareReport | undefined): Description {
  if (report === undefined) return nothingKnown;
  const { manufacturer, product, memoryBytes, cpuThreads, diskBytes } = toHardwareFigures(report);
  const all = toIdentifiers(report);
  const ofKind = (kind: string) => all.filter((each) => each.kind === kind);
  const [serialNumber] = ofKind("serial_number");
  const [systemUuid] = ofKind("system_uuid");
  const macs = ofKind("mac")
    .slice(0, maxMacAddresses)
    .toSorted((a, b) => (a.value < b.value ? -1 : 1));
  const own = [serialNumber, systemUuid, ...macs].filter((each) => each !== undefined);
  return {
    manufacturer: manufacturer ?? null,
    product: product ?? null,
    serialNumber: serialNumber?.shown ?? null,
    systemUuid: systemUuid?.shown ?? null,
    macAddresses: macs.map(({ shown }) => shown),
    identifiers: own.map(({ kind, value }) => `${kind}:${value}`),
    memoryBytes,
    cpuThreads,
    diskBytes,
    report: encodeReport(report),
  };
}

function encodeReport(report: AgentHardwareReport): Uint8Array {
  const bytes = toBinary(AgentHardwareReportSchema, report);
  if (bytes.length <= maxReportBytes) return bytes;
  throw new ConnectError(
    `hardware_report: has ${bytes.length} bytes in binary form, and at most ${maxReportBytes} are stored: leave out parts of it`,
    Code.InvalidArgument,
  );
}

function toWord(text: string): string | null {
  return text === "" ? null : toStorableText(text, maxWordLength);
}
