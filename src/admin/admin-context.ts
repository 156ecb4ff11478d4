/** The dependencies of the handlers of the admin services. */
import type { Logger } from "pino";
import type { EffectiveSetting } from "../config/config.ts";
import type { Database } from "../db/client.ts";
import type { InstallationLimits } from "../db/queries/os-installation-request.ts";
import type { AddressGuard } from "../receivers/allowed-address.ts";
import type { MapError } from "../rpc/calls/error-mapping.ts";
import type { FleetSamplers } from "./fleet/fleet-sampler.ts";
import type { FleetSamples } from "./fleet/fleet-samples.ts";
import type { ChangeFeed } from "./watch/change-feed.ts";

/** Dependencies that every handler of the admin services shares. */
export interface AdminContext {
  readonly db: Database;
  readonly feed: ChangeFeed;
  readonly fleet: FleetSamplers;
  /** The fleet during the last hour. */
  readonly fleetSamples: Pick<FleetSamples, "list">;
  /** Decides which addresses receivers may have. */
  readonly guard: AddressGuard;
  /** Limits on installations from the server's settings. */
  readonly installations: InstallationLimits;
  /** Settings of the server, without secrets. */
  readonly settings: readonly EffectiveSetting[];
  /** Converts an error to the one that a caller gets, for the requests of a batch that fail alone. */
  readonly mapError: MapError;
  readonly log: Logger;
}
