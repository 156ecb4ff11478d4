/** Signing in to the console by token: which tokens let in, what the page says of the others, and what it keeps. */
import { describe, expect, test } from "vitest";
import { createSecret } from "../../src/admin/authorization/token-secret.ts";
import { type AdminRole, insertAdminToken, revokeAdminTokenByName } from "../../src/db/queries/admin-token.ts";
import { transact } from "../../src/db/transact.ts";
import { ensureDevelopmentTls } from "../../src/tls/development-ca.ts";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { findBarriers, openConsole, setUpConsole, signIn } from "../support/console.ts";
import { tokenOf } from "../support/operator.ts";
import { makeFolder } from "../support/program.ts";
import { startTestServer } from "../support/server.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();
  const open = (options: Parameters<typeof openConsole>[2] = {}) =>
    openConsole(bench.browser, bench.server.adminUrl, options);

  /** A token that was valid for `role`, and is not any more. */
  async function pastToken(role: AdminRole, end: "expired" | "revoked"): Promise<string> {
    const { id, secret, hash } = createSecret();
    const expiresAt = end === "expired" ? new Date(Date.now() - 60_000) : undefined;
    await insertAdminToken(bench.database.db, { id, name: end, role, secretHash: hash, createdBy: "test", expiresAt });
    if (end === "revoked") await transact(bench.database.db, (tx) => revokeAdminTokenByName(tx, end, "test"));
    return secret;
  }

  test("a token lets in, and the page says who it is and which role it has", async () => {
    const token = await tokenOf(bench.database.db, "operator");
    await using opened = await open({ token: token.secret });
    await opened.page.getByText(`token:${token.name}`).waitFor();
    await opened.page.getByText("(operator)").waitFor();
    await opened.page.getByText("● live").waitFor();
    expect(opened.page.url()).not.toContain(token.secret);
    expect(await opened.context.cookies()).toEqual([]);
    expect(await opened.page.evaluate(() => [sessionStorage.length, localStorage.length])).toEqual([0, 0]);
    await opened.page.reload();
    await opened.page.getByRole("button", { name: "Sign in" }).waitFor();
  });

  test("a token that its owner keeps survives a reload of the tab, until its owner signs out", async () => {
    await using opened = await open();
    await opened.page.getByLabel("Keep me signed in").check();
    await signIn(opened.page, bench.admin.secret);
    await opened.page.getByText("● live").waitFor();
    await opened.page.reload();
    await opened.page.getByText("● live").waitFor();
    await opened.page.getByRole("button", { name: "Sign out" }).click();
    await opened.page.getByRole("button", { name: "Sign in" }).waitFor();
    expect(await opened.page.evaluate(() => sessionStorage.length)).toBe(0);
  });

  test.each([
    ["unknown", async () => createSecret().secret, "The server does not accept this token: the token is unknown."],
    ["expired", () => pastToken("admin", "expired"), "The server does not accept this token: the token has expired."],
    ["revoked", () => pastToken("admin", "revoked"), "The server does not accept this token: the token is revoked."],
    ["no token", async () => "Bearer „x“", "This is no token: a token has no spaces"],
  ])("a token that is %s does not let in, and the page says so", async (_what, make, said) => {
    await using opened = await open();
    await signIn(opened.page, await make());
    await opened.page.getByRole("alert").filter({ hasText: said }).waitFor();
    expect(await findBarriers(opened.page)).toEqual([]);
  });

  test("a token that is kept outlasts a server that is away while the tab is reloaded", async () => {
    await using opened = await open();
    const { page, context } = opened;
    await page.getByLabel("Keep me signed in").check();
    await signIn(page, bench.admin.secret);
    await page.getByText("● live").waitFor();
    await context.route("**/GetCaller", (route) => route.abort("connectionrefused"));
    await page.reload();
    await page.getByRole("alert").filter({ hasText: "The server cannot be asked" }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await context.unroute("**/GetCaller");
    await page.getByText("● live").waitFor();
  });

  test("over TLS it is the same", async () => {
    const { certFile, keyFile } = await ensureDevelopmentTls(await makeFolder(), ["127.0.0.1"]);
    await using secured = await startTestServer(bench.database.url, {
      BMAAS_ADMIN_TLS_CERT: certFile,
      BMAAS_ADMIN_TLS_KEY: keyFile,
    });
    const options = { token: bench.admin.secret, ignoreHTTPSErrors: true };
    await using opened = await openConsole(bench.browser, secured.adminUrl, options);
    await opened.page.getByText("● live").waitFor();
    expect(opened.page.url()).toMatch(/^https:/);
  });

  test("a page that cannot be loaded says so, and is tried again without signing in anew", async () => {
    await using opened = await open({ token: bench.admin.secret });
    const { page, context } = opened;
    await page.getByText("● live").waitFor();
    await context.route("**/assets/receivers-page*", (route) => route.abort("connectionrefused"));
    await page.getByRole("link", { name: "Receivers" }).click();
    await page.getByRole("heading", { name: "This page could not be loaded" }).waitFor();
    expect(await findBarriers(page)).toEqual([]);
    await context.unroute("**/assets/receivers-page*");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Receivers" }).waitFor();
    await page.getByText("● live").waitFor();
    expect(await page.getByText("newer version of this page").count()).toBe(0);
  });

  test("the page whose link was opened comes after signing in", async () => {
    await using opened = await open({ path: "/machines?filter=%5B%22state%3Dstale%22%5D", token: bench.admin.secret });
    await opened.page.getByRole("heading", { name: "Machines" }).waitFor();
    await opened.page.getByText("state=stale").waitFor();
    expect(new URL(opened.page.url()).pathname).toBe("/machines");
  });

  test("a session that ends asks again above the page, and loses nothing that was typed", async () => {
    const token = await tokenOf(bench.database.db, "viewer");
    await using opened = await open({ token: token.secret });
    const field = opened.page.getByLabel("Group by label");
    await field.fill("not sent yet");
    await transact(bench.database.db, (tx) => revokeAdminTokenByName(tx, token.name, "test"));
    const dialog = opened.page.getByRole("dialog", { name: "Sign in again" });
    await dialog.getByText("The session has ended: the token is revoked.").waitFor();
    expect(await findBarriers(opened.page)).toEqual([]);
    for (let time = 0; time < 3; time++) await opened.page.keyboard.press("Escape");
    await dialog.getByText("What you typed on the page stays.").waitFor();
    await signIn(opened.page, bench.admin.secret);
    await opened.page.getByText("(admin)").waitFor();
    expect(await field.inputValue()).toBe("not sent yet");
    await opened.page.getByText("● live").waitFor();
  });
});
