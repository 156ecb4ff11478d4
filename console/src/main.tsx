/** Starts the console. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { renewInTime } from "./session/renew.ts";
import { startSession } from "./session/start-session.ts";
import "./ui/styles/index.css";

void startSession();
renewInTime();
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
