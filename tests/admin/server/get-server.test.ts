/** GetServer: what runs, and with which settings. */
import { expect, test } from "vitest";
import { ServerService, SettingSource } from "../../../gen/bmaas/admin/v1/server_service_pb.js";
import { readVersion } from "../../../src/base/version.ts";
import { type Setting, settings } from "../../../src/config/config.ts";
import { observe } from "../../support/observer.ts";
import { adminClient, tokenOf } from "../../support/operator.ts";
import { startServerWithDatabase } from "../../support/server.ts";

const { database, server } = await startServerWithDatabase();

async function getServer() {
  const { secret } = await tokenOf(database.db, "viewer");
  return await adminClient(ServerService, server.adminUrl, secret).getServer({});
}

test("returns the versions of bmaas, Node and PostgreSQL", async () => {
  const [row] = await observe(database)<{ version: string }[]>`select current_setting('server_version') as version`;
  expect(await getServer()).toMatchObject({
    version: readVersion(),
    nodeVersion: process.version,
    databaseVersion: row?.version,
    platform: `${process.platform}-${process.arch}`,
  });
});

test("returns every setting of the server with its source, as text", async () => {
  const { settings: shown } = await getServer();
  const declared = Object.values<Setting>(settings).filter(({ commands }) => commands.includes("serve"));
  expect(shown.map(({ variable }) => variable)).toEqual(declared.map(({ variable }) => variable));
  const find = (variable: string) => shown.find((setting) => setting.variable === variable);
  expect(find("BMAAS_HISTORY_DAYS")).toMatchObject({ value: "365", source: SettingSource.DEFAULT });
  expect(find("BMAAS_AGENT_LISTEN")).toMatchObject({ value: "127.0.0.1:0", source: SettingSource.ENVIRONMENT });
  expect(find("BMAAS_OIDC_ISSUER")).toMatchObject({ value: "", source: SettingSource.UNSET });
});

test("says of a secret only where it is from", async () => {
  const answer = await getServer();
  expect(answer.settings.filter(({ secret }) => secret)).toMatchObject([
    { variable: "DATABASE_URL", value: "", source: SettingSource.ENVIRONMENT },
  ]);
  expect(JSON.stringify(answer)).not.toContain(database.url);
});
