/** Decides whether the tests' servers use the lane. TEST_UNARY_LANE=off runs the tests without it. */

/** Default of BMAAS_UNARY_LANE for servers in tests. */
export const unaryLane = process.env.TEST_UNARY_LANE === "off" ? "off" : "on";
