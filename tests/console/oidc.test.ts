/** Signing in to the console at an OpenID Connect issuer. */
import { afterAll, describe, expect, test } from "vitest";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { openConsole, setUpConsole } from "../support/console.ts";
import { startOidcIssuer } from "../support/oidc-issuer.ts";
import { testClientId } from "../support/oidc-sign-in.ts";
import { waitUntil } from "../support/wait.ts";

describe.skipIf(!hasChromium)(needsChromium, async () => {
  const issuer = await startOidcIssuer();
  afterAll(() => issuer[Symbol.asyncDispose]());
  const bench = setUpConsole({
    BMAAS_OIDC_ISSUER: issuer.url,
    BMAAS_OIDC_AUDIENCE: "bmaas",
    BMAAS_OIDC_ROLES: "operator=sre",
    BMAAS_OIDC_CLIENT_ID: testClientId,
  });

  async function openAtIssuer(path: string) {
    const opened = await openConsole(bench.browser, bench.server.adminUrl, { path });
    await opened.page.getByRole("button", { name: /^Sign in at 127/ }).click();
    return opened;
  }

  test("whoever the issuer knows comes back to the page that was open, with the role of the claims", async () => {
    issuer.signIns.claims = { roles: ["sre"] };
    await using opened = await openAtIssuer("/machines?filter=provider%3Da");
    await opened.page.getByText("oidc:alice").waitFor();
    await opened.page.getByText("(operator)").waitFor();
    await opened.page.getByText("provider=a").waitFor();
    const filter = encodeURIComponent(JSON.stringify(["provider=a"]));
    expect(opened.page.url()).toBe(`${bench.server.adminUrl}/machines?filter=${filter}`);
    expect(await opened.page.evaluate(() => sessionStorage.length)).toBe(0);
    await opened.page.getByRole("button", { name: "Sign out" }).click();
    await opened.page.getByRole("button", { name: /^Sign in at 127/ }).waitFor();
    await waitUntil("the issuer is told", () => issuer.asked.some((path) => path.includes("/logout?id_token_hint=")));
  });

  test("a role that is too small is said", async () => {
    issuer.signIns.claims = { roles: ["guest"] };
    await using opened = await openAtIssuer("/");
    await opened.page.getByRole("alert").filter({ hasText: "its role is too small for the console" }).waitFor();
  });

  test("what the issuer refuses is said in its words", async () => {
    issuer.signIns.refusal = "access_denied";
    await using opened = await openAtIssuer("/server");
    await opened.page.getByRole("alert").filter({ hasText: "The issuer refused: access_denied." }).waitFor();
    issuer.signIns.refusal = undefined;
  });

  test("a code that was asked for elsewhere does not let in", async () => {
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/signed-in?code=a&state=b" });
    await opened.page.getByRole("alert").filter({ hasText: "This sign-in was begun elsewhere" }).waitFor();
    expect(opened.page.url()).toBe(`${bench.server.adminUrl}/`);
  });

  test("a token is replaced before it expires, also on a page that calls nothing", async () => {
    issuer.signIns.claims = { roles: ["sre"] };
    issuer.signIns.lifetimeSeconds = 9;
    await using opened = await openAtIssuer("/holds");
    await opened.page.getByText("● live").waitFor();
    await waitUntil("the token is refreshed", () => issuer.signIns.refreshes > 0);
    await opened.page.getByText("oidc:alice").waitFor();
    issuer.signIns.lifetimeSeconds = 300;
  });

  test("signing in again happens in a window of its own, and what was typed stays", async () => {
    issuer.signIns.claims = { roles: ["sre"] };
    await using opened = await openAtIssuer("/");
    const { page, context } = opened;
    await page.getByText("● live").waitFor();
    const field = page.getByLabel("Group by label");
    await field.fill("not sent yet");
    // What the page is told when its session has ended at the server.
    await context.route("**/GetFleet*", (route) =>
      route.fulfill({
        status: 401,
        contentType: "application/json",
        body: JSON.stringify({ code: "unauthenticated", message: "the token has expired" }),
      }),
    );
    const dialog = page.getByRole("dialog", { name: "Sign in again" });
    await dialog.getByText("The session has ended: the token has expired.").waitFor({ timeout: 45_000 });
    await context.unroute("**/GetFleet*");
    const [opener] = await Promise.all([
      context.waitForEvent("page"),
      dialog.getByRole("button", { name: /^Sign in at 127/ }).click(),
    ]);
    await dialog.waitFor({ state: "detached" });
    await page.getByText("● live").waitFor();
    expect(await field.inputValue()).toBe("not sent yet");
    // Browsers decide whether a window may close itself.
    if (!opener.isClosed()) await opener.getByText("You are signed in again.").waitFor();
  });
});
