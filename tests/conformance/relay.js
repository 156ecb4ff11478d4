// What the conformance suite takes for a server: see host.ts. Its argument is the host's port; it ends on SIGTERM.
import { connect } from "node:net";

const host = connect(Number(process.argv[2]), "127.0.0.1");
process.once("SIGTERM", () => host.destroy());
process.stdin.pipe(host, { end: false }).pipe(process.stdout);
