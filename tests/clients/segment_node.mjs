// Sends one event of every kind that @segment/analytics-node has: HOST KEY.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ writeKey, host, flushAt: 20, flushInterval: 100, maxRetries: 3 });
const timestamp = new Date("2025-08-14T16:11:28.677Z");

analytics.track({ userId: "u1", event: "Order Completed", properties: { total: 12.5, partner_id: "p9" }, timestamp });
analytics.page({ userId: "u1", name: "Install", properties: { url: "https://shop.example/install" } });
analytics.screen({ userId: "u1", name: "Partner list", properties: { tab: 2 } });
analytics.identify({ userId: "u1", anonymousId: "a-1", traits: { plan: "pro" } });
analytics.group({ userId: "u1", groupId: "g4", traits: { industry: "roofing" } });
analytics.alias({ userId: "u1", previousId: "lead-812" });
await analytics.closeAndFlush({ timeout: 20000 });
