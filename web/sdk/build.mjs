/**
 * Build the package into `dist` and the served file into the Python package; with `--check` build
 * only in memory, and fail when the served file is another one or a file is too large.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { rolldown } from "rolldown";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));
const SERVED = join(HERE, "../../src/lakeward/server/static_sdk/lakeward.js");
const KB = 1000;

const FILES = [
  { name: "core.mjs", input: "core.ts", format: "es", most: 3.0 * KB },
  { name: "lakeward.mjs", input: "lakeward.ts", format: "es", most: 6.0 * KB },
  { name: "lakeward.js", input: "tag.ts", format: "iife", most: 6.0 * KB },
];

async function built({ input, format }) {
  const bundle = await rolldown({ input: join(HERE, "src", input), logLevel: "warn" });
  const { output } = await bundle.generate({ format });
  await bundle.close();
  // One keyword instead of two packs better, and whatever is never assigned stays so.
  const source = output[0].code.replace(/\bconst\b/g, "let");
  const { code } = await minify(source, {
    ecma: 2020,
    module: format === "es",
    toplevel: true,
    mangle: { properties: { regex: /^(place|shown|order|refused|since)$/ } }, // ours alone
    compress: {
      inline: 1,
      passes: 3,
      pure_getters: true,
      unsafe_arrows: true,
      unsafe_methods: true,
    },
    format: { ascii_only: true },
  });
  return code + "\n";
}

let wrong = 0;
const check = process.argv.includes("--check");
mkdirSync(join(HERE, "dist"), { recursive: true });
for (const file of FILES) {
  const code = await built(file);
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${file.name}: ${size} of at most ${file.most} bytes (gzip)`);
  if (size > file.most) wrong = 1;
  if (!check) writeFileSync(join(HERE, "dist", file.name), code);
  if (file.format !== "iife") continue;
  if (!check) {
    mkdirSync(dirname(SERVED), { recursive: true });
    writeFileSync(SERVED, code);
  } else if (code !== readFileSync(SERVED, "utf8")) {
    console.error("the served file is not that of its source: run make web");
    wrong = 1;
  }
}
if (!check) {
  const tsc = ["tsc", "--declaration", "--emitDeclarationOnly", "--noEmit", "false"];
  tsc.push("--outDir", "dist/types", "--rootDir", "src", "--project", "tsconfig.build.json");
  execFileSync("npx", tsc, { cwd: HERE, stdio: "inherit" });
}
process.exit(wrong);
