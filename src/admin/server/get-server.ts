/** The handler of ServerService.GetServer. */
import { create } from "@bufbuild/protobuf";
import {
  type GetServerRequest,
  type GetServerResponse,
  GetServerResponseSchema,
  ServerSettingSchema,
  SettingSource,
} from "../../../gen/bmaas/admin/v1/server_service_pb.js";
import { readVersion } from "../../base/version.ts";
import type { EffectiveSetting } from "../../config/config.ts";
import { getServerVersion } from "../../db/queries/server-version.ts";
import type { AdminContext } from "../admin-context.ts";

const sources: Readonly<Record<EffectiveSetting["source"], SettingSource>> = {
  unset: SettingSource.UNSET,
  default: SettingSource.DEFAULT,
  environment: SettingSource.ENVIRONMENT,
  flag: SettingSource.FLAG,
};

/** Creates the handler of ServerService.GetServer. */
export function createGetServer({ db, settings }: Pick<AdminContext, "db" | "settings">) {
  return async (_request: GetServerRequest): Promise<GetServerResponse> =>
    create(GetServerResponseSchema, {
      version: readVersion(),
      nodeVersion: process.version,
      databaseVersion: await getServerVersion(db),
      platform: `${process.platform}-${process.arch}`,
      settings: settings.map(({ variable, value, source, isSecret }) =>
        create(ServerSettingSchema, { variable, value, source: sources[source], secret: isSecret }),
      ),
    });
}
