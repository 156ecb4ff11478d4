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
    BMAAS_OIDC_AUDIENCE: `bmaas,${testClientId}`,
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

  test("tokens that the issuer has given while the server was away are not lost", async () => {
    issuer.signIns.claims = { roles: ["sre"] };
    issuer.signIns.lifetimeSeconds = 9;
    await using opened = await openAtIssuer("/holds");
    const { page, context } = opened;
    await page.getByText("● live").waitFor();
    const isAway = Promise.withResolvers<number>();
    await context.route("**/GetCaller", async (route) => {
      await route.abort("connectionrefused");
      isAway.resolve(issuer.signIns.refreshes);
    });
    const before = await isAway.promise;
    await context.unroute("**/GetCaller");
    // An issuer takes a refresh token once. The next renewal is with the one that it gave meanwhile.
    await waitUntil("the token is refreshed again", () => issuer.signIns.refreshes > before, 30_000);
    expect(await page.getByRole("dialog", { name: "Sign in again" }).count()).toBe(0);
    issuer.signIns.lifetimeSeconds = 300;
  });

  test("whoever signs out is signed out, also when the issuer cannot be told", async () => {
    issuer.signIns.claims = { roles: ["sre"] };
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { path: "/holds" });
    const { page, context } = opened;
    await page.getByLabel("Keep me signed in").check();
    await page.getByRole("button", { name: /^Sign in at 127/ }).click();
    await page.getByText("● live").waitFor();
    await page.reload();
    await page.getByText("● live").waitFor();
    await context.route("**/assets/oidc-*", (route) => route.abort("connectionrefused"));
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: /^Sign in at 127/ }).waitFor();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  });

  test("the token by which somebody is signed in stands in no address when they sign out", async () => {
    issuer.signIns.claims = { roles: ["sre"] };
    issuer.signIns.isOpaque = true;
    await using opened = await openAtIssuer("/holds");
    const { page } = opened;
    await page.getByText("● live").waitFor();
    const before = issuer.asked.length;
    await page.getByRole("button", { name: "Sign out" }).click();
    await waitUntil("the issuer is told", () => issuer.asked.slice(before).some((path) => path.includes("/logout?")));
    expect(issuer.asked.slice(before).filter((path) => path.includes("id_token_hint"))).toEqual([]);
    issuer.signIns.isOpaque = false;
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
