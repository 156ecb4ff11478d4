/** Finds and starts the browser of the tests. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/**
 * Where CHROMIUM says, or the first that is on the PATH, or the one that Playwright installed. The headless shell comes
 * first: it renders alike, and has none of the processes of a desktop's browser.
 */
const executablePath = findChromium();

/** Whether there is a browser. Tests that need one are skipped without. */
export const hasChromium = executablePath !== undefined;

/** Why tests are skipped; a part of their names. */
export const needsChromium =
  "in Chromium (skipped where it is not installed: set CHROMIUM, or apt-get install chromium-headless-shell)";

function findChromium(): string | undefined {
  const names = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
  ];
  const folders = (process.env.PATH ?? "").split(delimiter);
  const installed = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [process.env.CHROMIUM ?? "", ...installed, chromium.executablePath()].find(
    (file) => file !== "" && existsSync(file),
  );
}

/** Starts the browser. */
export async function launchChromium(): Promise<Browser> {
  const quiet = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return await chromium.launch({ ...(executablePath && { executablePath }), args: [...quiet, ...asRoot] });
}

let shared: Promise<Browser> | undefined;

/** Returns the browser that all test files of a worker share, and starts it for the first. It ends with the worker. */
export async function shareChromium(): Promise<Browser> {
  shared ??= launchChromium();
  const browser = await shared;
  if (browser.isConnected()) return browser;
  shared = launchChromium();
  return await shared;
}
