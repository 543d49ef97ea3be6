import { defineConfig } from "vite";

// The page is served at `/` and its files at `/static/`; both come out of the wheel. Chunks find each
// other relative to themselves, as the server may stand below a prefix that only it knows.
export default defineConfig({
  base: "/static/",
  experimental: {
    renderBuiltUrl: (filename, { hostType }) => (hostType === "js" ? { relative: true } : `/static/${filename}`),
  },
  build: {
    outDir: "../../src/lakeward/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsDir: "assets",
    assetsInlineLimit: 0, // the content security policy has no `data:`
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    chunkSizeWarningLimit: 700, // of ECharts, which comes when a page needs it
    rolldownOptions: {
      output: {
        chunkFileNames: ({ name, facadeModuleId }) => {
          const page = /src\/(\w+)\/page\.tsx$/.exec(facadeModuleId ?? "");
          return `assets/${page?.[1] ?? name}-[hash].js`;
        },
      },
    },
  },
});
