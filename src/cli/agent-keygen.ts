/** `bmaas agent keygen`: creates an agent's key. */
import { Command } from "commander";
import { ConfigError } from "../config/config.ts";
import { formatExamples } from "./examples.ts";

/** Creates the command `bmaas agent keygen`. */
export function keygenCommand(): Command {
  return new Command("keygen")
    .description("create an agent's private key and print its public key, as seed files take it")
    .option(
      "--out <file>",
      "file for the private key (PEM, readable by its owner only; never overwritten)",
      "agent.key",
    )
    .addHelpText("after", formatExamples("bmaas agent keygen --out agent.pem > agent.pub"))
    .action(async ({ out }: { out: string }) => {
      const { generateAgentKey } = await import("../agent/agent-key.ts");
      const { AgentKeyFileError, saveAgentKey } = await import("../agent/key-file.ts");
      const key = await generateAgentKey();
      try {
        await saveAgentKey(out, key);
      } catch (error) {
        if (error instanceof AgentKeyFileError) throw new ConfigError([`--out: ${error.message}`]);
        throw error;
      }
      // Standard output contains only the public key, for KEY=$(bmaas agent keygen).
      process.stderr.write(`private key written to ${out}; the public key is:\n`);
      process.stdout.write(`${key.publicKeyHex}\n`);
    });
}
