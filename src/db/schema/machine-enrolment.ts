/**
 * Enrolments: agents that proved a key which no machine had, and asked to be let in.
 *
 * Written by strangers, so each key has one row, whatever it sends and however often. The number of rows without a
 * machine is limited for each address and in all, and the least recently seen are deleted first. An operator's decision
 * stays with the row. A row that has become a machine's is deleted with the machine.
 */
import { sql } from "drizzle-orm";
import { bigint, check, index, integer, pgTable, text, unique, uuid } from "drizzle-orm/pg-core";
import { bytea, timestamptz } from "./columns.ts";
import { joinToken } from "./join-token.ts";
import { machine } from "./machine.ts";

/** States of an enrolment. Only an approved one has a machine. */
const enrolmentStates = ["waiting", "approved", "rejected"] as const;

export const machineEnrolment = pgTable(
  "machine_enrolment",
  {
    /**
     * Name of the enrolment for operators. It changes when the agent describes another machine, so that a decision is
     * about what the operator has seen.
     */
    id: uuid().primaryKey().default(sql`gen_random_uuid()`),
    /** 32 bytes, RFC 8032 section 5.1.2: a canonical point that is not of small order, checked before it is stored. */
    publicKey: bytea().notNull(),
    state: text({ enum: enrolmentStates }).notNull().default("waiting"),
    /** IPv4 address or IPv6 network of the last call, by which waiting enrolments are bounded. */
    source: text().notNull(),
    /** IP address of the last call. */
    address: text().notNull(),
    /** When the agent first described this machine. */
    firstSeenAt: timestamptz().notNull().default(sql`now()`),
    lastSeenAt: timestamptz().notNull().default(sql`now()`),
    /** Nonce of the last signature, against replays; null while the agent proves itself by certificates. */
    signatureNonce: bigint({ mode: "bigint" }),
    agentVersion: text(),
    bootId: text(),
    manufacturer: text(),
    product: text(),
    /** Serial number of the system; null if there is none or it is a placeholder, so that it says which machine. */
    serialNumber: text(),
    /** UUID of the system in lower case, as the agent read it; null if there is none or it is a placeholder. */
    systemUuid: text(),
    /** Addresses of the network interfaces, in order: lower-case hexadecimal digits with colons. */
    macAddresses: text().array().notNull().default(sql`'{}'::text[]`),
    /**
     * Serial number, UUID and addresses as "kind:value", in the normalized form of contract/identifiers.ts, to find
     * others that have them too.
     */
    identifiers: text().array().notNull().default(sql`'{}'::text[]`),
    memoryBytes: bigint({ mode: "bigint" }),
    cpuThreads: integer(),
    diskBytes: bigint({ mode: "bigint" }),
    /**
     * A cloud.bmaas.server.api.AgentHardwareReport in protobuf's binary form, 16 KiB at most; null if there is none, or
     * once the machine has a report of its own.
     */
    report: bytea(),
    /** The join token that the agent has used. */
    joinTokenId: text().references(() => joinToken.id),
    /** The machine whose agent has, or had, the key. */
    machineId: uuid().references(() => machine.id, { onDelete: "cascade" }),
    /**
     * When and by whom it was approved or rejected. While it waits: when it was approved before its key was taken from
     * the machine.
     */
    decidedAt: timestamptz(),
    decidedBy: text(),
  },
  (table) => [
    unique("machine_enrolment_public_key_key").on(table.publicKey),
    unique("machine_enrolment_machine_id_key").on(table.machineId),
    // For lists, newest first.
    index("machine_enrolment_first_seen_at_id_idx").on(table.firstSeenAt, table.id),
    // For bounding the rows that strangers can write.
    index("machine_enrolment_unseen_idx").on(table.lastSeenAt).where(sql`${table.machineId} is null`),
    index("machine_enrolment_source_unseen_idx")
      .on(table.source, table.lastSeenAt)
      .where(sql`${table.machineId} is null`),
    // For finding others with the same identifiers, machines that have not reported their hardware yet included.
    index("machine_enrolment_identifiers_idx").using("gin", table.identifiers),
    check("machine_enrolment_public_key_check", sql`octet_length(${table.publicKey}) = 32`),
    check("machine_enrolment_state_check", sql`${table.state} in ('waiting', 'approved', 'rejected')`),
    check("machine_enrolment_machine_id_check", sql`(${table.state} = 'approved') = (${table.machineId} is not null)`),
    check("machine_enrolment_report_check", sql`octet_length(${table.report}) <= 16384`),
  ],
);
