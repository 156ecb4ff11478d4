/**
 * Records which files of a program have functions that are called. Preload it: at each SIGUSR2 it writes the URLs of
 * the files entered since the signal before, one per line, to ENTERED_FILES_FILE.
 */
import { renameSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";

const file = process.env.ENTERED_FILES_FILE ?? "";
const session = new Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });

process.on("SIGUSR2", () => {
  // A session in the same process answers at once, and taking the counts sets them to zero.
  session.post("Profiler.takePreciseCoverage", (error, coverage) => {
    if (error !== null) throw error;
    const entered = coverage.result.filter(({ functions }) =>
      functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0),
    );
    writeFileSync(`${file}.part`, entered.map(({ url }) => url).join("\n"));
    renameSync(`${file}.part`, file);
  });
});
