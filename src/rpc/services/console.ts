/**
 * Serves the console at the root of the operators' listener: its files, and what its page must know before anybody has
 * signed in. The page is a client of the API like any other; nothing that is served here is secret.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** Path at which the page learns about its server. */
const factsPath = "/console.json";

/** Names that the build gives its files. */
const fileName = /^[\w-][\w.-]*$/;

/** Options of `serveConsole`. */
export interface ConsoleOptions {
  /** Returns the absolute path of the folder with the built console, or undefined while there is none. */
  readonly findFolder: () => string | undefined;
  /** Version of bmaas. */
  readonly version: string;
  /** Where people sign in; undefined if by tokens only. */
  readonly signIn: { readonly issuer: string; readonly clientId: string } | undefined;
}

/** What the page must know before anybody has signed in. */
interface ConsoleFacts {
  readonly version: string;
  /** Differs between any two builds of the page. Null while there is none. */
  readonly build: string | null;
  readonly oidc: { readonly issuer: string; readonly clientId: string } | null;
}

/** Adds the console's routes to the operators' listener. */
export function serveConsole(listener: FastifyInstance, options: ConsoleOptions): void {
  const { findFolder, version, signIn } = options;
  const headers = createHeaders(signIn?.issuer);
  const identify = createIdentifier();
  listener.register(async (pages) => {
    pages.register(fastifyStatic, { serve: false, root: "/", preCompressed: true, dotfiles: "ignore" });
    pages.addHook("onRequest", async (_request, reply) => {
      reply.headers(headers);
    });
    pages.get(factsPath, async (_request, reply): Promise<ConsoleFacts> => {
      reply.header("cache-control", "no-store");
      return { version, build: identify(findFolder()), oidc: signIn ?? null };
    });
    pages.get<{ Params: { file: string } }>("/assets/:file", ({ params: { file } }, reply) => {
      const folder = findFolder();
      if (folder === undefined || !fileName.test(file)) return reply.callNotFound();
      return reply.sendFile(file, join(folder, "assets"), { immutable: true, maxAge: "365d" });
    });
    pages.get("/", (_request, reply) => sendPage(reply, findFolder()));
    // A page of the console that was opened by its link. What is no page is answered as without the console.
    pages.get("/*", (request, reply) => (isPage(request) ? sendPage(reply, findFolder()) : reply.callNotFound()));
  });
}

/**
 * Returns the headers of every answer. The policy allows nothing but the page's own files and calls, and the issuer's
 * answers where people sign in: no inline script or style, no frame around the page, no request to another host.
 */
function createHeaders(issuer: string | undefined): Record<string, string> {
  const policy = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": issuer === undefined ? "'self'" : `'self' ${new URL(issuer).origin}`,
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
  };
  return {
    "content-security-policy": Object.entries(policy)
      .map(([name, value]) => `${name} ${value}`)
      .join("; "),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  };
}

/** A browser that opens a link asks for HTML. The paths of calls begin with a package's name, which has dots. */
function isPage({ url, headers }: FastifyRequest): boolean {
  return /^\/[a-z-]+(?:[/?]|$)/.test(url) && (headers.accept ?? "").includes("text/html");
}

function sendPage(reply: FastifyReply, folder: string | undefined): FastifyReply {
  reply.header("cache-control", "no-store").type("text/html; charset=utf-8");
  if (folder === undefined) return reply.code(503).header("retry-after", "3").header("refresh", "3").send(notBuilt);
  return reply.sendFile("index.html", folder, { cacheControl: false, etag: false, lastModified: false });
}

const notBuilt = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="dark light">
<title>bmaas: the console is being built</title>
<h1>The console is being built</h1>
<p>This takes some seconds. This page then shows the console by itself.</p>
<p>If it takes longer than a minute, the server's log says why. The API and the command line work meanwhile.</p>
</html>
`;

/** Returns a function that names the build in a folder. */
function createIdentifier(): (folder: string | undefined) => string | null {
  let known: { readonly folder: string; readonly build: string } | undefined;
  return (folder) => {
    if (folder === undefined) return null;
    if (known?.folder !== folder) {
      // The page names its files by their contents.
      const page = readFileSync(join(folder, "index.html"));
      known = { folder, build: createHash("sha256").update(page).digest("hex").slice(0, 16) };
    }
    return known.build;
  };
}
