import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.ts"],
    restoreMocks: true,
    server: { deps: { inline: ["web-vitals"] } }, // loaded afresh for each test
  },
});
