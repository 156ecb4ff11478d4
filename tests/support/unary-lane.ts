/** Which way the tests' servers serve plain unary calls: TEST_UNARY_LANE=off repeats a run without the lane. */

/** For a server's settings, where a test does not say itself. */
export const unaryLane = process.env.TEST_UNARY_LANE === "off" ? "off" : "on";
