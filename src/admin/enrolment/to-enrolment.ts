/** Converts enrolments from the database to messages for operators. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Enrolment,
  EnrolmentSchema,
  EnrolmentState,
  LookalikeSchema,
} from "../../../gen/bmaas/admin/v1/enrolment_pb.js";
import type { Database, Transaction } from "../../db/client.ts";
import { EnrolmentGoneError } from "../../db/queries/enrolment-decision.ts";
import {
  type EnrolmentOverview,
  findEnrolments,
  findLookalikes,
  type Lookalike,
} from "../../db/queries/enrolment-list.ts";
import { type Expectation, findExpectations, findExpectedMachine } from "../../db/queries/expectation.ts";

/** States of the contract, by their names in the database. */
export const enrolmentStates: Readonly<Record<EnrolmentOverview["state"], EnrolmentState>> = {
  waiting: EnrolmentState.WAITING,
  approved: EnrolmentState.APPROVED,
  rejected: EnrolmentState.REJECTED,
};

/** Converts enrolments, in their order, with everything that resembles them. */
export async function toEnrolments(
  db: Database | Transaction,
  rows: readonly EnrolmentOverview[],
): Promise<Enrolment[]> {
  const lookalikes = await findLookalikes(db, rows);
  const expectations = await findExpectations(db, rows);
  return rows.map((row) => toEnrolment(row, lookalikes.get(row.id) ?? [], expectations.get(row.id) ?? []));
}

/** Reads one enrolment by its id, a UUID in lower case. Throws EnrolmentGoneError. */
export async function readEnrolment(db: Database | Transaction, id: string): Promise<Enrolment> {
  const [enrolment] = await toEnrolments(db, await findEnrolments(db, [id]));
  if (enrolment === undefined) throw new EnrolmentGoneError(id);
  return enrolment;
}

function toEnrolment(
  row: EnrolmentOverview,
  lookalikes: readonly Lookalike[],
  expectations: readonly Expectation[],
): Enrolment {
  const isDecided = row.state !== "waiting";
  return create(EnrolmentSchema, {
    id: row.id,
    state: enrolmentStates[row.state],
    publicKey: row.publicKey,
    address: row.address,
    firstSeenTime: timestampFromDate(row.firstSeenAt),
    lastSeenTime: timestampFromDate(row.lastSeenAt),
    agentVersion: row.agentVersion ?? "",
    bootId: row.bootId ?? "",
    manufacturer: row.manufacturer ?? "",
    product: row.product ?? "",
    serialNumber: row.serialNumber ?? "",
    systemUuid: row.systemUuid ?? "",
    macAddresses: row.macAddresses,
    memoryBytes: row.memoryBytes ?? 0n,
    cpuThreads: row.cpuThreads ?? 0,
    diskBytes: row.diskBytes ?? 0n,
    machineId: row.machineId ?? "",
    decider: (isDecided && row.decidedBy) || "",
    joinTokenId: row.joinTokenId ?? "",
    expectedMachineId: findExpectedMachine(expectations) ?? "",
    waitReason: row.state === "approved" ? "" : explainExpectations(expectations),
    ...(isDecided && row.decidedAt && { decideTime: timestampFromDate(row.decidedAt) }),
    lookalikes: lookalikes.map(({ machineId, enrolmentId, kinds }) =>
      create(LookalikeSchema, {
        machineId: machineId ?? "",
        enrolmentId: machineId === null ? (enrolmentId ?? "") : "",
        identifiers: [...kinds],
      }),
    ),
  });
}

const kindNames: Readonly<Record<string, string>> = {
  serial_number: "serial number",
  system_uuid: "UUID",
  mac: "MAC addresses",
};

/** Returns why none of the machines of which facts are expected is the one, or nothing if one is. */
function explainExpectations(expectations: readonly Expectation[]): string {
  if (expectations.length === 0 || findExpectedMachine(expectations) !== undefined) return "";
  const name = (kinds: readonly string[]) => kinds.map((kind) => kindNames[kind] ?? kind).join(" and ");
  const matching = expectations.filter(({ different }) => different.length === 0);
  const [only, ...more] = matching;
  const reasons: string[] = [];
  if (only !== undefined && more.length > 0) {
    reasons.push(
      `it matches ${matching.length} expected machines: ${matching.map((each) => each.machineId).join(", ")}`,
    );
  } else if (only !== undefined) {
    reasons.push(
      only.isMissing
        ? `it is expected as machine ${only.machineId}`
        : `it is expected as machine ${only.machineId}, whose agent has come before`,
    );
  }
  for (const { machineId, same, different } of expectations) {
    if (different.length === 0) continue;
    reasons.push(`machine ${machineId} is expected with its ${name(same)}, but with another ${name(different)}`);
  }
  return reasons.join("; ");
}
