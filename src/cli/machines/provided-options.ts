/** The options for a provider's data about a machine. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import type { ProvidedSchema } from "../../../gen/bmaas/admin/v1/machine_pb.js";
import { ConfigError } from "../../config/config.ts";
import { providerStatusNames } from "../operator/state-names.ts";

/** The flags as commander passes them. */
export interface ProvidedFlags {
  readonly provider?: string;
  readonly providerId?: string;
  readonly reservation?: string;
  readonly address?: string;
  readonly location?: string;
  readonly status?: string;
}

/** Adds the options. */
export function addProvidedOptions(command: Command): Command {
  return command
    .option("--provider <name>", 'the provider, for example "equinix"')
    .option("--provider-id <id>", "the provider's id of the machine")
    .option("--reservation <id>", "the provider's reservation that the machine belongs to")
    .option("--address <address>", "the machine's address, an IP address or a name")
    .option("--location <name>", 'the provider\'s name of the place, for example "am6"')
    .addOption(
      new Option("--status <status>", "the machine's status according to the provider").choices(
        providerStatusNames.names,
      ),
    );
}

/**
 * Returns the data, or undefined without any of the options. Throws ConfigError if an option is missing that the others
 * need.
 */
export function readProvided(flags: ProvidedFlags): MessageInitShape<typeof ProvidedSchema> | undefined {
  const { provider, providerId, reservation = "", address = "", location = "", status } = flags;
  const isGiven = [provider, providerId, status, ...[reservation, address, location].filter(Boolean)].some(
    (value) => value !== undefined,
  );
  if (!isGiven) return undefined;
  if (provider === undefined || providerId === undefined) {
    throw new ConfigError(["--provider and --provider-id are both required"]);
  }
  const known = status === undefined ? undefined : providerStatusNames.find(status);
  return { provider, providerId, reservation, address, location, ...(known && { status: known }) };
}
