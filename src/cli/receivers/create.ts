/** `bmaas receivers create` */
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { CreateReceiverResponseSchema, ReceiverService } from "../../../gen/bmaas/admin/v1/receiver_service_pb.js";
import { printable } from "../../base/printable.ts";
import { ConfigError } from "../../config/config.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, print, printMessage } from "../operator/output.ts";

interface CreateFlags extends OperatorFlags {
  readonly url: string;
  readonly events: string;
  readonly ca?: string;
}

/** Creates the command `bmaas receivers create`. */
export function createCommand(): Command {
  const command = new Command("create")
    .description("create a receiver of events and print its secret, which is shown only once")
    .argument("<name>", "unique name")
    .requiredOption("--url <url>", "where to send events, an https URL")
    .requiredOption("--events <type,…>", "types of events to send, such as installation.*; * alone means all")
    .option("--ca <file>", "PEM file of the CAs that issued its certificate (default: the CAs that the server trusts)")
    .action(
      operate(async (operator, { url, events, ca, json }: CreateFlags, name: string) => {
        const caCertificates = ca === undefined ? "" : await readCertificates(ca);
        const response = await operator
          .client(ReceiverService)
          .createReceiver({ name, url, events: events.split(",").map((each) => each.trim()), caCertificates });
        if (json) return printMessage(CreateReceiverResponseSchema, response);
        for (const pattern of response.unmatchedEvents) note(`no event of this server matches ${pattern}`);
        // Standard output contains only the secret, for SECRET=$(bmaas receivers create …).
        note(`created receiver ${name}; its secret cannot be shown again:`);
        print(printable(response.secret));
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas receivers create oncall --url https://hooks.example/bmaas --events 'installation.*,machine.*'",
      "bmaas receivers create audit --url https://audit.internal/events --events '*' --ca internal-ca.pem",
    ],
    more: [
      "\nMessages and signatures follow Standard Webhooks; docs/receivers.md has types, payloads and examples." +
        "\nA private address must be named in the server's setting BMAAS_RECEIVER_ALLOW.",
      "\nWith --json: one CreateReceiverResponse of bmaas.admin.v1.",
    ],
  });
}

async function readCertificates(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new ConfigError([`--ca: ${(error as Error).message}`]);
  }
}
