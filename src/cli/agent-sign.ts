/** `bmaas agent sign`: signs a call for curl. */
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { Command, Option } from "commander";
import { ConfigError } from "../config/config.ts";
import { checkAgentOptions, type IdentityOptions, loadKey } from "./agent-identity.ts";
import { formatExamples } from "./examples.ts";

interface SignFlags extends IdentityOptions {
  readonly url?: string;
  readonly method: string;
  readonly data?: string;
  readonly dataFile?: string;
  readonly format: "headers" | "curl";
}

const help = `
The headers hold for one call within a minute, to this URL and with exactly this body.`;

const id = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const url = "https://127.0.0.1:8443/cloud.bmaas.server.api.AgentCallback/Heartbeat";
const examples = [
  `bmaas agent sign --machine-id ${id} --key agent.pem --url ${url} --data '{"machineId":"${id}"}' |`,
  `  curl -H @- -H 'content-type: application/json' --data-binary '{"machineId":"${id}"}' ${url}`,
];

/** Creates the command `bmaas agent sign`. */
export function signCommand(): Command {
  return new Command("sign")
    .description("print the headers that sign an HTTP request (RFC 9421), for curl")
    .option("--machine-id <uuid>", "id of the calling machine")
    .option("--key <file>", "the agent's private key")
    .option("--url <url>", "URL of the request")
    .option("--method <method>", "HTTP method", "POST")
    .addOption(new Option("--data <body>", "the body (default: empty)").conflicts("dataFile"))
    .option("--data-file <file>", "read the body from a file, or from standard input: -")
    .addOption(
      new Option("--format <format>", "print headers, one per line, or a complete curl command")
        .choices(["headers", "curl"])
        .default("headers"),
    )
    .addHelpText("after", formatExamples(...examples))
    .addHelpText("after", help)
    .action(sign);
}

async function sign(flags: SignFlags): Promise<void> {
  const { machineId, url } = checkAgentOptions(flags, { url: flags.url, flag: "--url" });
  if (!/^[A-Za-z]+$/.test(flags.method)) throw new ConfigError(["--method: not an HTTP method"]);
  const [{ key, warnings }, body] = await Promise.all([loadKey(flags), readBody(flags)]);
  for (const warning of warnings) process.stderr.write(`bmaas: ${warning}\n`);
  const [{ signRequest }, { SigningClock }] = await Promise.all([
    import("../agent/request-signing.ts"),
    import("../agent/signing-clock.ts"),
  ]);
  const headers = await signRequest(
    { method: flags.method, url, body },
    { machineId, key, ...new SigningClock().next() },
  );
  process.stdout.write(flags.format === "curl" ? formatCurl(flags, url, headers) : formatHeaders(headers));
}

async function readBody({ data, dataFile }: SignFlags): Promise<Buffer> {
  if (dataFile === undefined) return Buffer.from(data ?? "");
  if (dataFile === "-") return await buffer(process.stdin);
  try {
    return await readFile(dataFile);
  } catch (error) {
    throw new ConfigError([`--data-file: ${(error as Error).message}`]);
  }
}

function formatHeaders(headers: Record<string, string>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");
}

function formatCurl({ method, data, dataFile }: SignFlags, url: URL, headers: Record<string, string>): string {
  const fields = Object.entries({ "content-type": "application/json", ...headers });
  return `${[
    "curl",
    `-X ${method}`,
    ...fields.map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`),
    // With --data, curl would take a body that begins with @ for the name of a file.
    dataFile === undefined ? `--data-raw ${quote(data ?? "")}` : `--data-binary ${quote(`@${dataFile}`)}`,
    quote(url.href),
  ].join(" \\\n  ")}\n`;
}

/** Quotes one argument for a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
