/** Starts the console. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { PageAwayError } from "./routes.tsx";
import { renewInTime } from "./session/renew.ts";
import { startSession } from "./session/start-session.ts";
import "./ui/styles/index.css";

void startSession();
renewInTime();
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
createRoot(root, {
  onCaughtError: (error) => {
    if (!(error instanceof PageAwayError)) window.reportError(error);
  },
}).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
