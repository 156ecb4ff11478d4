/** Makes a process fail when it is told to: loaded before the program, SIGUSR2 has it throw, and SIGWINCH reject, an error that nobody catches. */
process.on("SIGUSR2", () => {
  throw new Error("thrown for a test");
});
process.on("SIGWINCH", () => {
  void Promise.reject(new Error("rejected for a test"));
});
