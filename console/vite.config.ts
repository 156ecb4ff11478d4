/**
 * How the console is built: `npm run build` and the start of a clone. `npm run console` serves it from its sources
 * against a running server: the local one, or the one at BMAAS_ADMIN_URL.
 */
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.BMAAS_ADMIN_URL ?? "http://127.0.0.1:8480";

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  plugins: [react()],
  resolve: { alias: { "@api": fileURLToPath(new URL("../gen/bmaas/admin/v1", import.meta.url)) } },
  build: {
    outDir: "../dist/console",
    target: "baseline-widely-available",
    // The policy for content allows no data: in scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
  },
  server: {
    port: 8490,
    proxy: { "^/(bmaas\\.admin\\.|console\\.json|healthz|readyz)": { target: server, changeOrigin: true } },
  },
});
