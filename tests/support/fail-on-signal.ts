/**
 * Makes a process fail on request. Preload it: then SIGUSR2 causes an uncaught exception, and SIGWINCH an unhandled
 * rejection.
 */
process.on("SIGUSR2", () => {
  throw new Error("thrown for a test");
});
process.on("SIGWINCH", () => {
  void Promise.reject(new Error("rejected for a test"));
});
