/** Installations as operators see them, from the view that decides where each stands. */
import type { installationState, osInstallationRequest } from "../schema/index.ts";

/** One generation of one machine. */
export type InstallationRow = typeof osInstallationRequest.$inferSelect &
  Pick<typeof installationState.$inferSelect, "state" | "since">;
