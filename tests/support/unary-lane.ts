/** Which way the tests' servers serve plain unary calls: BMAAS_TEST_UNARY_LANE=off repeats a run without the lane. */

/** For a server's settings, where a test does not say itself. */
export const unaryLane = process.env.BMAAS_TEST_UNARY_LANE === "off" ? "off" : "on";
