// The rival of benchmarks/ingest.py in Node: fastify with its own ajv validation; each interaction
// becomes a line of a file that nobody syncs. Prints its port and ends when its input ends.
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import Fastify from "fastify";

const file = createWriteStream(process.argv[2], { flags: "a" });
const app = Fastify({ bodyLimit: 4 * 1024 * 1024 });
const text = { type: "string", maxLength: 8192 };
const schema = {
  body: {
    type: "array",
    items: {
      type: "object",
      required: ["interaction_type", "timestamp"],
      properties: {
        interaction_type: { type: "string", pattern: "^[a-z][a-z0-9_.:-]{0,63}$" },
        timestamp: { type: "string", format: "date-time" },
        user_id: text, anonymous_id: text, session_id: text, url: text, referrer: text, title: text,
        properties: { type: "object", additionalProperties: true },
      },
      additionalProperties: false,
    },
  },
};

app.post("/v1/interactions", { schema }, async (request) => {
  const received = new Date().toISOString();
  let lines = "";
  for (const event of request.body) {
    const { interaction_type, timestamp, user_id, session_id, ...rest } = event;
    lines += JSON.stringify({
      interaction_id: randomUUID(), timestamp, environment: "development", app_version: "1.0.0",
      interaction_type, user_id, user_type: "unknown", ip_address: request.ip,
      user_agent: request.headers["user-agent"], session_id, ...rest, received_at: received,
    }) + "\n";
  }
  await new Promise((resolve) => file.write(lines, resolve));
  return { accepted: request.body.length, rejected: [] };
});

await app.listen({ host: "127.0.0.1", port: 0 });
console.log(JSON.stringify({ port: app.server.address().port }));
process.stdin.resume().on("end", () => process.exit(0));
