/** A caller that makes one call at a time. */
export interface Caller {
  /** Called for each answer, with whether it was a heartbeat's. */
  onAnswer: (isGood: boolean) => void;
  /**
   * Makes a call and returns true, or returns false if nothing is left to send. The previous call must have been
   * answered.
   */
  call(): boolean;
  /** False once the connection is closed. */
  readonly isOpen: boolean;
  /** Time of the last call, by performance.now(). */
  readonly calledAtMs: number;
  close(): void;
}
