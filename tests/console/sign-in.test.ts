/** Signing in to the console by token: which tokens let in, what the page says of the others, and what it keeps. */
import { describe, expect, test } from "vitest";
import { hasChromium, needsChromium } from "../support/chromium.ts";
import { openConsole, setUpConsole } from "../support/console.ts";
import { tokenOf } from "../support/operator.ts";

describe.skipIf(!hasChromium)(needsChromium, () => {
  const bench = setUpConsole();

  test("a token lets in, and the page says who it is and which role it has", async () => {
    const token = await tokenOf(bench.database.db, "operator");
    await using opened = await openConsole(bench.browser, bench.server.adminUrl, { token: token.secret });
    await opened.page.getByText(`token:${token.name}`).waitFor();
    await opened.page.getByText("(operator)").waitFor();
    await opened.page.getByText("● live").waitFor();
    expect(await opened.page.title()).toContain("bmaas");
    expect(opened.page.url()).not.toContain(token.secret);
    expect(await opened.context.cookies()).toEqual([]);
    expect(await opened.page.evaluate(() => [sessionStorage.length, localStorage.length])).toEqual([0, 0]);
  });
});
