/**
 * Write whose code the built files hold, with each license in full, into the Python package: what
 * the dashboard and the SDK depend on and bundle. Fails where one carries no license.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const FILE = join(HERE, "../src/lakeward/server/third-party.txt");
const FIRST = ["preact", "uplot", "echarts", "web-vitals"];

function folder(name, from) {
  const own = join(from, "node_modules", name);
  return existsSync(own) ? own : join(HERE, "node_modules", name);
}

function texts(place) {
  const files = readdirSync(place).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  const found = [];
  for (const file of files.sort()) {
    const path = join(place, file);
    if (file !== "licenses") found.push(readFileSync(path, "utf8"));
    else for (const more of readdirSync(path)) found.push(readFileSync(join(path, more), "utf8"));
  }
  if (found.length === 0) throw new Error(`${place} carries no license`);
  return found.map((text) => text.replace(/[ \t]+$/gm, "").trim());
}

const parts = new Map();
function add(name, from) {
  const place = folder(name, from);
  const { version, license, dependencies } = JSON.parse(
    readFileSync(join(place, "package.json"), "utf8"),
  );
  parts.set(name, `${name} ${version} (${license})\n\n${texts(place).join("\n\n")}\n`);
  for (const other of Object.keys(dependencies ?? {})) if (!parts.has(other)) add(other, place);
}
for (const name of FIRST) add(name, HERE);

const line = "\n" + "=".repeat(80) + "\n\n";
writeFileSync(
  FILE,
  "The pages and scripts in static/ and static_sdk/ hold code of others, each under its license.\n" +
    line + [...parts.values()].join(line),
);
