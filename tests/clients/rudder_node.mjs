// Sends one event of every kind that @rudderstack/rudder-sdk-node has: HOST KEY.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const [dataPlaneUrl, key] = process.argv.slice(2);
const Client = RudderAnalytics.default ?? RudderAnalytics;
const client = new Client(key, { dataPlaneUrl, flushInterval: 100, logLevel: "error", errorHandler: () => {} });
const timestamp = new Date("2025-08-14T16:11:28.677Z");

client.track({ userId: "u1", event: "Order Completed", properties: { total: 12.5, partner_id: "p9" }, timestamp });
client.page({ userId: "u1", name: "Install", properties: { url: "https://shop.example/install" } });
client.screen({ userId: "u1", name: "Partner list", properties: { tab: 2 } });
client.identify({ userId: "u1", anonymousId: "a-1", traits: { plan: "pro" } });
client.group({ userId: "u1", groupId: "g4", traits: { industry: "roofing" } });
client.alias({ userId: "u1", previousId: "lead-812" });
await new Promise((done) => {
  const flushing = client.flush(() => done());
  flushing?.catch?.(() => done());
});
