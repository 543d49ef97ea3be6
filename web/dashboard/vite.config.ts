import { defineConfig } from "vite";

// The page is served at `/` and its files at `/static/`; both come out of the wheel.
export default defineConfig({
  base: "/static/",
  build: {
    outDir: "../../src/lakeward/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsDir: "assets",
    assetsInlineLimit: 0, // the content security policy has no `data:`
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
