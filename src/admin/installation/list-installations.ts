/** The handler of InstallationService.ListInstallations. */
import { create } from "@bufbuild/protobuf";
import {
  type ListInstallationsRequest,
  type ListInstallationsResponse,
  ListInstallationsResponseSchema,
} from "../../../gen/bmaas/admin/v1/installation_service_pb.js";
import { parseMachineId } from "../../contract/machine-id.ts";
import { listInstallations } from "../../db/queries/installation-list.ts";
import type { InstallationKey, InstallationRow } from "../../db/queries/installation-overview.ts";
import { checkMachineExists } from "../../db/queries/machine.ts";
import type { AdminContext } from "../admin-context.ts";
import { decodePageToken, encodePageToken, parseKeyNumber, parseKeyUuid } from "../page-token.ts";
import { installationStates, toInstallation } from "./to-installation.ts";

const defaultPageSize = 50;
/** Creates the handler of InstallationService.ListInstallations. */
export function createListInstallations({ db }: AdminContext) {
  return async (request: ListInstallationsRequest): Promise<ListInstallationsResponse> => {
    const machineId = request.machineId === "" ? undefined : parseMachineId(request.machineId);
    const states = readStates(request.states);
    const scope = ["installations", machineId ?? "", [...states].toSorted()];
    const { installations, next } = await listInstallations(db, {
      machineId,
      states,
      after: decodePageToken(scope, request.pageToken, parseKey),
      limit: request.pageSize || defaultPageSize,
    });
    if (machineId !== undefined && installations.length === 0) await checkMachineExists(db, machineId);
    return create(ListInstallationsResponseSchema, {
      installations: installations.map(toInstallation),
      nextPageToken: next === undefined ? "" : encodePageToken(scope, [next.machineId, next.generation.toString()]),
    });
  };
}

function readStates(states: ListInstallationsRequest["states"]): Set<InstallationRow["state"]> {
  const wanted = new Set(states);
  const names = Object.keys(installationStates) as InstallationRow["state"][];
  return new Set(names.filter((name) => wanted.has(installationStates[name])));
}

function parseKey([id, digits, ...rest]: readonly string[]): InstallationKey | undefined {
  const machineId = parseKeyUuid(id);
  const generation = parseKeyNumber(digits);
  if (machineId === undefined || generation === undefined || rest.length > 0) return undefined;
  return { machineId, generation };
}
