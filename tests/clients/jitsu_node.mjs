// Sends one event of every kind that @jitsu/js has: HOST KEY.
import jitsu from "@jitsu/js";

const [host, key] = process.argv.slice(2);
const { jitsuAnalytics } = jitsu.jitsuAnalytics ? jitsu : await import("@jitsu/js");
const client = jitsuAnalytics({ host, writeKey: `${key}:x`, s2s: process.argv[4] === "s2s" });

await client.track("Order Completed", { total: 12.5, partner_id: "p9" });
await client.page({ name: "Install", url: "https://shop.example/install" });
await client.identify("u1", { plan: "pro" });
await client.group("g4", { industry: "roofing" });
await client.track("signed_up", { plan: "pro" });
