/** What the handlers of the admin services work with. */
import type { Logger } from "pino";
import type { Database } from "../db/client.ts";
import type { FleetSampler } from "./fleet/fleet-sampler.ts";
import type { ChangeFeed } from "./watch/change-feed.ts";

/** Made once, by the service. */
export interface AdminContext {
  readonly db: Database;
  readonly feed: ChangeFeed;
  readonly fleet: FleetSampler;
  readonly log: Logger;
}
