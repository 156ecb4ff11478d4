/** Maps errors of the domain to what callers get. Every other error is internal. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { DiskRefusalSchema } from "../../gen/bmaas/admin/v1/installation_service_pb.js";
import type { BlockDevice, BlockDeviceSchema } from "../../gen/cloud/agent/api/hwreport_pb.js";
import { TooManyAttemptsError } from "../admin/authorization/check-credentials.ts";
import { IssuerAwayError } from "../admin/authorization/issuer-keys.ts";
import { WatchEndedError } from "../admin/watch/mailbox.ts";
import { WriterOverloadedError } from "../agent-callback/heartbeat-writer.ts";
import { AddressLimitError } from "../agent-callback/stranger-limit.ts";
import { DiskRefusedError } from "../contract/choose-disk.ts";
import {
  describeOutage,
  GenerationNotGrowingError,
  isContention,
  isDatabaseAway,
  MachineExistsError,
  MachineNotFoundError,
} from "../db/errors.ts";
import { InstallationNotFoundError, InstallationRefusedError } from "../db/installation-errors.ts";
import { LastAdminTokenError, TokenNameInUseError, TokenNotFoundError } from "../db/queries/admin-token.ts";
import { AgentRefusedError } from "../db/queries/agent-key.ts";
import { PublicKeyInUseError } from "../db/queries/agent-started.ts";
import {
  EnrolmentDecidedError,
  EnrolmentDuplicateError,
  EnrolmentGoneError,
} from "../db/queries/enrolment-decision.ts";
import { TooManyGroupsError } from "../db/queries/fleet-groups.ts";
import { InstallationGivenError } from "../db/queries/given-installation.ts";
import { ChangesNotKeptError } from "../db/queries/history-position.ts";
import { JoinTokenNotFoundError } from "../db/queries/join-token.ts";
import { DeliveryNotFoundError } from "../db/queries/kept-delivery.ts";
import { InstallationOpenError } from "../db/queries/machine-deletion.ts";
import { MachineBlockedError, TooMuchHealthError } from "../db/queries/machine-health.ts";
import { HoldInPastError, MachineHeldError } from "../db/queries/machine-hold.ts";
import { TooManyLabelsError } from "../db/queries/machine-label.ts";
import { ProviderIdInUseError } from "../db/queries/provided.ts";
import {
  ReceiverExistsError,
  ReceiverNotFoundError,
  TooManyReceiversError,
  TooManySecretsError,
} from "../db/queries/receiver.ts";
import { defaultRetryAfterSeconds, type ErrorTable, type KnownError } from "../rpc/calls/error-mapping.ts";
import { badRequest, errorInfo, preconditionFailure } from "../rpc/wire/error-details.ts";

/**
 * Returns the code, message and details that a caller gets for an error of the domain, or undefined for any other
 * error.
 */
export const findKnownError: ErrorTable = (error) => {
  if (error instanceof MachineNotFoundError) return { code: Code.NotFound, message: error.message };
  if (error instanceof MachineExistsError) return takenBy("MACHINE_EXISTS", error.machineId, error);
  if (error instanceof ProviderIdInUseError) return takenBy("PROVIDER_ID_IN_USE", error.holderId, error);
  if (error instanceof TooMuchHealthError) return { code: Code.ResourceExhausted, message: error.message };
  if (error instanceof TooManyGroupsError) return { code: Code.ResourceExhausted, message: error.message };
  if (error instanceof TooManyLabelsError) return { code: Code.InvalidArgument, message: error.message };
  if (error instanceof PublicKeyInUseError) return takenBy("PUBLIC_KEY_IN_USE", error.holderId, error);
  if (error instanceof AgentRefusedError) return refuse(error.obstacle, `machines/${error.machineId}`, error);
  if (error instanceof EnrolmentGoneError) return refuseEnrolment("ENROLMENT_GONE", error);
  if (error instanceof EnrolmentDecidedError) return refuseEnrolment("ENROLMENT_DECIDED", error);
  if (error instanceof EnrolmentDuplicateError) return refuseEnrolment("ENROLMENT_DUPLICATE", error);
  if (error instanceof InstallationOpenError) return refuse("INSTALLATION_OPEN", `machines/${error.machineId}`, error);
  if (error instanceof InstallationGivenError)
    return refuse("INSTALLATION_GIVEN", `machines/${error.machineId}`, error);
  if (error instanceof HoldInPastError) return refuseField("end_time", "END_TIME_PAST", error);
  if (error instanceof MachineHeldError) return refuse("MACHINE_HELD", `machines/${error.machineId}`, error);
  if (error instanceof MachineBlockedError) return refuse("MACHINE_BLOCKED", `machines/${error.machineId}`, error);
  if (error instanceof DiskRefusedError) return refuseDisk(error);
  if (error instanceof InstallationNotFoundError) return { code: Code.NotFound, message: error.message };
  if (error instanceof InstallationRefusedError) return refuseInstallation(error.obstacle, error);
  if (error instanceof GenerationNotGrowingError) return refuseInstallation("GENERATION_NOT_GROWING", error);
  if (error instanceof ChangesNotKeptError) {
    return { code: Code.OutOfRange, message: `${error.message}: list again, and watch from that list's token` };
  }
  if (error instanceof WatchEndedError) return { code: Code.Unavailable, message: error.message, retryAfterSeconds: 1 };
  if (error instanceof TooManyAttemptsError || error instanceof AddressLimitError) {
    const { message, retryAfterSeconds: seconds } = error;
    return { code: Code.ResourceExhausted, message, retryAfterSeconds: seconds };
  }
  if (error instanceof IssuerAwayError) {
    return {
      code: Code.Unavailable,
      message: `${error.message}: try again later`,
      retryAfterSeconds: defaultRetryAfterSeconds,
    };
  }
  if (error instanceof TokenNotFoundError) return { code: Code.NotFound, message: error.message };
  if (error instanceof JoinTokenNotFoundError) return { code: Code.NotFound, message: error.message };
  if (error instanceof LastAdminTokenError) return refuse("LAST_ADMIN_TOKEN", `tokens/${error.tokenId}`, error);
  if (error instanceof TokenNameInUseError) {
    const details = [errorInfo("TOKEN_NAME_IN_USE", { token_id: error.tokenId })];
    return { code: Code.AlreadyExists, message: error.message, details };
  }
  if (error instanceof ReceiverNotFoundError || error instanceof DeliveryNotFoundError) {
    return { code: Code.NotFound, message: error.message };
  }
  if (error instanceof ReceiverExistsError) {
    return { code: Code.AlreadyExists, message: error.message, details: [errorInfo("RECEIVER_EXISTS", {})] };
  }
  if (error instanceof TooManyReceiversError) return refuse("TOO_MANY_RECEIVERS", "receivers", error);
  if (error instanceof TooManySecretsError) return refuse("TOO_MANY_SECRETS", `receivers/${error.receiverName}`, error);
  if (error instanceof WriterOverloadedError) {
    const message = "too many heartbeats are queued: retry later";
    return { code: Code.ResourceExhausted, message, retryAfterSeconds: defaultRetryAfterSeconds };
  }
  if (isDatabaseAway(error)) {
    const message = `${describeOutage(error)}: retry later`;
    return { code: Code.Unavailable, message, retryAfterSeconds: defaultRetryAfterSeconds };
  }
  if (isContention(error)) {
    const message = "concurrent changes conflict with this one: retry later";
    return { code: Code.Unavailable, message, retryAfterSeconds: defaultRetryAfterSeconds };
  }
  return undefined;
};

function refuseInstallation(type: string, error: InstallationRefusedError | GenerationNotGrowingError): KnownError {
  return refuse(type, `machines/${error.machineId}/installations/${error.generation}`, error);
}

function refuseEnrolment(
  type: string,
  error: EnrolmentGoneError | EnrolmentDecidedError | EnrolmentDuplicateError,
): KnownError {
  return refuse(type, `enrolments/${error.enrolmentId}`, error);
}

/** Maximum number of disks in an error, and of characters in each of their texts: gRPC puts errors into a header. */
const maxListedDisks = 16;
const maxDiskText = 64;

function shortenDisk(disk: BlockDevice): MessageInitShape<typeof BlockDeviceSchema> {
  const { kind, protocol, rotational, capacityBytes } = disk;
  const cut = (text: string) => text.slice(0, maxDiskText).toWellFormed();
  return {
    ...{ kind, protocol, rotational, capacityBytes, wwn: disk.wwn.slice(0, maxDiskText) },
    ...{ kernelName: cut(disk.kernelName), vendor: cut(disk.vendor), deviceModel: cut(disk.deviceModel) },
    ...{ serialNumber: cut(disk.serialNumber), use: disk.use.slice(0, 2).map(cut) },
  };
}

function refuseDisk(error: DiskRefusedError): KnownError {
  const { obstacle, machineId, disks } = error;
  const { details = [], ...known } = refuse(obstacle, `machines/${machineId}`, error);
  const listed = disks.toSorted((a, b) => Number(b.isMeant) - Number(a.isMeant)).slice(0, maxListedDisks);
  const value = {
    machineId,
    reason: obstacle,
    disks: listed.map(({ disk, ...told }) => ({ ...told, disk: shortenDisk(disk) })),
  };
  return { ...known, details: [...details, { desc: DiskRefusalSchema, value }] };
}

function refuseField(field: string, reason: string, { message: description }: Error): KnownError {
  const details = [badRequest([{ field, description, reason }])];
  return { code: Code.InvalidArgument, message: `${field} ${description}`, details };
}

function refuse(type: string, subject: string, { message }: Error): KnownError {
  const details = [preconditionFailure({ type, subject, description: message })];
  return { code: Code.FailedPrecondition, message, details };
}

function takenBy(reason: string, machineId: string, { message }: Error): KnownError {
  return { code: Code.AlreadyExists, message, details: [errorInfo(reason, { machine_id: machineId })] };
}
