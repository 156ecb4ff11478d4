/** `bmaas agent certificate`: prints the ephemeral certificate of an agent, for tools that need it in a file. */
import { Command } from "commander";
import { type IdentityOptions, loadKey } from "./agent-identity.ts";
import { formatExamples } from "./examples.ts";

const help = `
Self-signed and without an expiry. It carries the public key, and a name that is the same for all agents. With the key file it is
what curl and buf curl take as --cert and --key.`;

/** Creates the command `bmaas agent certificate`. */
export function certificateCommand(): Command {
  return new Command("certificate")
    .description("print an ephemeral TLS client certificate (PEM) for the agent's key")
    .option("--key <file>", "the agent's private key")
    .addHelpText("after", formatExamples("bmaas agent certificate --key agent.pem > agent.crt"))
    .addHelpText("after", help)
    .action(async (flags: IdentityOptions) => {
      const { createClientCertificate } = await import("../agent/client-certificate.ts");
      const { key, warnings } = await loadKey(flags);
      for (const warning of warnings) process.stderr.write(`bmaas: ${warning}\n`);
      process.stdout.write(createClientCertificate(key).cert);
    });
}
