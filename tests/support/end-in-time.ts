/** Ends a run in good order when its time is over, so that a machine too slow for all tests still says what it saw. */
import type { Reporter, TestModule, Vitest } from "vitest/node";

/** Exit status of a run that was ended, and in which nothing failed. */
const endedStatus = 3;

/**
 * Returns a reporter that begins no more tests after so many minutes. Tests under way end by themselves. The run then
 * prints how many files it left out and ends with status 3, or with 1 if something failed. Throws if `minutes` is no
 * number above 0.
 */
export function endInTime(minutes: number): Reporter {
  if (!(minutes > 0)) throw new Error("TEST_MINUTES is not a number of minutes above 0");
  let vitest: Vitest | undefined;
  let isOver = false;
  return {
    onInit(context) {
      vitest = context;
      setTimeout(() => {
        isOver = true;
        void vitest?.cancelCurrentRun("keyboard-input");
      }, minutes * 60_000).unref();
    },
    onTestRunEnd(testModules, unhandledErrors, reason) {
      if (!isOver || reason !== "interrupted") return;
      const left = testModules.filter(isLeftOut).length;
      vitest?.logger.log(
        `The ${minutes} minutes of TEST_MINUTES were over: ${left} of ${testModules.length} files did not run to their end.`,
      );
      const hasFailed = unhandledErrors.length > 0 || testModules.some((module) => module.state() === "failed");
      if (!hasFailed) process.exitCode = endedStatus;
    },
  };
}

/** Whether a test of the file has no result, or the file itself has none. */
function isLeftOut(module: TestModule): boolean {
  if (module.state() !== "passed" && module.state() !== "failed") return true;
  return [...module.children.allTests()].some((each) => each.result().state === "pending");
}
