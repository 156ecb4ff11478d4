/**
 * Tells for how long the present turn of the event loop has been at work, in milliseconds, counted from the first time that it is asked
 * within the turn. Whatever the system had to deliver when the turn began is delivered within it, one piece after the other; so this
 * is how long what comes now has waited already, and what comes next will wait at least.
 */
export function createTurnClock(): () => number {
  let beganAtMs: number | undefined;
  const end = () => {
    beganAtMs = undefined;
  };
  return () => {
    const nowMs = performance.now();
    if (beganAtMs === undefined) {
      beganAtMs = nowMs;
      // Runs once everything has been delivered.
      setImmediate(end);
    }
    return nowMs - beganAtMs;
  };
}
