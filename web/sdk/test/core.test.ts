import { beforeEach, expect, test, vi } from "vitest";

import {
  answers,
  compresses,
  events,
  fire,
  hide,
  kept,
  property,
  sent,
  settled,
  wait,
} from "./page.ts";

type Sdk = typeof import("../src/core.ts");
let sdk: Sdk;

beforeEach(async () => {
  sdk = await import("../src/core.ts");
});

const HOST = { key: "lwk_w_test", host: "https://data.example.com" };
const begin = async (options: object = {}): Promise<void> => {
  sdk.init({ ...HOST, ...options });
  await wait(3000);
};

// The wire

test("a page view goes to the server with key, ids, time, place and campaign", async () => {
  await begin();
  expect(sent).toHaveLength(1);
  const [request] = sent;
  expect(request!.url).toBe("https://data.example.com/v1/interactions");
  expect(request!.headers).toEqual({ Authorization: "Bearer lwk_w_test" });
  expect(request!.keepalive).toBe(true);
  expect(request!.sent_at).toMatch(/^2025-08-14T16:11:29\.\d{3}Z$/);
  const [view] = request!.batch;
  const { interaction_id: id } = view!;
  expect(view).toEqual({
    interaction_type: "page_view",
    interaction_id: id,
    timestamp: "2025-08-14T16:11:28.677Z",
    anonymous_id: expect.stringMatching(/^.{36}$/),
    session_id: expect.stringMatching(/^.{36}$/),
    url: "https://example.com/partners?utm_source=podcast",
    path: "/partners",
    trace_id: id.replace(/-/g, ""),
    view_id: id,
    title: "Partners",
    navigation: "load",
    utm_source: "podcast",
  });
});

test.each([
  [{ host: "https://d.example.com/data/" }, "https://d.example.com/data/v1/interactions"],
  [{ host: "https://d.example.com", path: "/collect" }, "https://d.example.com/collect"],
  [{ host: "", path: "collect" }, "https://example.com/collect"],
])("%j sends to %s", async (options, url) => {
  await begin(options);
  expect(sent[0]!.url).toBe(url);
});

test("without a key no header names one", async () => {
  await begin({ key: undefined });
  expect(sent[0]!.headers).toEqual({});
});

test("only the first init counts", async () => {
  await begin();
  await begin({ host: "https://other.example.com" });
  expect(sent).toHaveLength(1);
});

test("what happens within a second goes as one batch, large ones compressed", async () => {
  compresses();
  await begin();
  for (let n = 0; n < 30; n++) sdk.track("Step", { n });
  await wait(1000);
  expect(sent.map((one) => one.compressed)).toEqual([false, true]);
  expect(sent[1]!.batch.map((event) => event.properties.n)).toEqual([...Array(30).keys()]);
  expect(sent[1]!.batch[0]!.interaction_type).toBe("step");
});

test("a batch stays below what may outlive a page, whatever there is to send", async () => {
  await begin();
  for (let n = 0; n < 100; n++) sdk.track("long", { text: "x".repeat(1000) });
  await wait(3000);
  const sizes = sent.map((one) => JSON.stringify(one.batch).length);
  expect(Math.max(...sizes)).toBeLessThan(21_000);
  expect(events("long")).toHaveLength(100);
});

test("long texts are cut until the server takes the event, and nothing else is lost", async () => {
  await begin();
  sdk.track("long", { text: "ä".repeat(100_000), n: 1, deep: { list: ["x".repeat(100_000)] } });
  await wait(1000);
  const [event] = events("long");
  expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(28_001);
  expect(event!.properties.n).toBe(1);
  expect(event!.properties.text).toMatch(/^ä{100,}$/);
});

test("calls before init are made when it comes, at most what cannot be told is left out", async () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  sdk.track("early", { n: 1 });
  expect(() => sdk.track("circle", circle)).not.toThrow();
  await begin();
  expect(events().map((event) => event.interaction_type)).toEqual(["page_view", "early"]);
  expect(() => sdk.track(undefined as never)).not.toThrow();
  expect(() => sdk.track("circle", circle)).not.toThrow();
});

// Trying again

test("a server that is down is tried again later and later, with the same ids", async () => {
  answers.push({ status: 503 });
  sdk.init(HOST);
  await wait(120_000);
  const ids = sent.map((one) => one.batch[0]!.interaction_id);
  expect(new Set(ids).size).toBe(1);
  expect(ids.length).toBeGreaterThan(3);
  expect(ids.length).toBeLessThan(8);
  answers.splice(0);
  await wait(100_000);
  const before = sent.length;
  await wait(200_000);
  expect(sent.length).toBe(before);
});

test("nothing is sent before the moment that the server asked for", async () => {
  answers.push({ status: 429, headers: { "retry-after": "50" } }, { status: 200 });
  sdk.init(HOST);
  await wait(48_000);
  expect(sent).toHaveLength(1);
  fire("online");
  sdk.track("later");
  await wait(1_900);
  expect(sent).toHaveLength(1);
  await wait(5_000);
  expect(events("page_view")).toHaveLength(2);
  expect(events("later")).toHaveLength(1);
});

test.each([400, 401, 403, 404, 422])(
  "what is refused with %i is not sent again",
  async (status) => {
    answers.push({ status });
    await begin();
    await wait(300_000);
    expect(sent).toHaveLength(1);
    expect(Object.keys(kept())).toEqual(["lakeward.person"]);
  },
);

test("a batch that is too large is halved until it is taken, one event that is too large goes", async () => {
  await begin();
  answers.push({ status: 413 }, { status: 200 }, { status: 413 }, { status: 413 }, { status: 200 });
  for (let n = 0; n < 4; n++) sdk.track("step", { n });
  await wait(1000);
  const sizes = sent.slice(1).map((one) => one.batch.map((event) => event.properties.n));
  expect(sizes).toEqual([[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]);
  await wait(300_000);
  expect(sent).toHaveLength(6);
});

// Without a network

test("offline, events are kept on the device, and sent once when the network is back", async () => {
  answers.push("offline");
  await begin();
  sdk.track("one");
  await wait(20_000);
  const bundles = Object.keys(kept()).filter((name) => name.startsWith("lakeward.unsent."));
  expect(bundles.length).toBeGreaterThan(0);
  answers.splice(0);
  fire("online");
  await wait(2000);
  expect(events().map((event) => event.interaction_type)).toEqual(["page_view", "one"]);
  expect(Object.keys(kept())).toEqual(["lakeward.person"]);
});

test("what another page left is sent by the next one, before its own", async () => {
  localStorage["lakeward.unsent.1"] =
    '{"interaction_type":"left","n":1}\n{"interaction_type":"left","n":2}';
  await begin();
  expect(sent.map((one) => one.batch.length)).toEqual([2, 1]);
  expect(events("left").map((event) => event.n)).toEqual([1, 2]);
});

test("a tab that closes while this one is open leaves its events to this one", async () => {
  await begin();
  localStorage["lakeward.unsent.7"] = '{"interaction_type":"left"}';
  fire("storage", { key: "lakeward.unsent.7", newValue: "x" });
  await wait(1000);
  expect(events("left")).toHaveLength(1);
});

test("while another tab holds the lock, its bundles are left alone", async () => {
  let mine: ((lock: object | null) => unknown) | undefined;
  const request = vi.fn(async (_name: string, _options: object, then: typeof mine) => then!(null));
  property(navigator, "locks", { request });
  localStorage["lakeward.unsent.1"] = '{"interaction_type":"left"}';
  await begin();
  expect(events("left")).toHaveLength(0);
  expect(request.mock.calls[0]!.slice(0, 2)).toEqual(["lakeward.lease", { ifAvailable: true }]);
  request.mockImplementation(async (_name, _options, then) => then!({}));
  await wait(10_000);
  expect(events("left")).toHaveLength(1);
});

test("without locks, a lease that another tab holds is waited for", async () => {
  localStorage["lakeward.lease"] = String(Date.now() + 20_000);
  localStorage["lakeward.unsent.1"] = '{"interaction_type":"left"}';
  await begin();
  expect(events("left")).toHaveLength(0);
  await wait(40_000);
  expect(events("left")).toHaveLength(1);
});

test("at most forty bundles are kept: the oldest goes", async () => {
  for (let n = 10; n < 50; n++) localStorage["lakeward.unsent." + n] = '{"n":' + n + "}";
  answers.push("offline");
  await begin();
  const bundles = Object.keys(kept()).filter((name) => name.startsWith("lakeward.unsent."));
  expect(bundles).toHaveLength(40);
  expect(bundles).not.toContain("lakeward.unsent.10");
});

test("where nothing can be kept, a thousand events wait in memory", async () => {
  vi.stubGlobal("localStorage", undefined);
  answers.push("offline");
  await begin();
  for (let n = 0; n < 1500; n++) sdk.track("step", { n });
  answers.splice(0);
  fire("online");
  await wait(20_000);
  expect(events("step").map((event) => event.properties.n)).toEqual(
    [...Array(1500).keys()].slice(500),
  );
});

// Leaving

test("a page that is hidden sends what is left by beacon, the key in the query", async () => {
  await begin();
  sdk.track("last");
  await hide();
  expect(sent[1]!.beacon).toBe(true);
  expect(sent[1]!.url).toBe("https://data.example.com/v1/interactions?key=lwk_w_test");
  expect(events("last")).toHaveLength(1);
  await wait(5000);
  expect(sent).toHaveLength(2);
});

test("what the browser does not take when the page goes is kept on the device", async () => {
  await begin();
  property(navigator, "sendBeacon", () => false);
  sdk.track("last");
  await hide();
  expect(Object.values(kept()).join()).toContain('"interaction_type":"last"');
});

test("what is being compressed when the page goes is sent once", async () => {
  compresses();
  await begin();
  for (let n = 0; n < 20; n++) sdk.track("step", { n });
  vi.advanceTimersByTime(1000);
  await hide();
  await settled();
  expect(events("step")).toHaveLength(20);
  expect(sent[1]!.beacon).toBe(true);
});

// Page views

test("a route of a single-page app is a view, with the page before it as its referrer", async () => {
  await begin();
  history.pushState({}, "", "/match?step=1");
  document.title = "Match";
  history.replaceState({}, "", "/match?step=2#top"); // the same page
  await wait(2000);
  expect(
    events("page_view").map(({ path, navigation, title, referrer }) => [
      path,
      navigation,
      title,
      referrer,
    ]),
  ).toEqual([
    ["/partners", "load", "Partners", undefined],
    ["/match", "spa", "Match", "https://example.com/partners?utm_source=podcast"],
  ]);
});

test("a route that is left at once is still told, with its own time and place", async () => {
  await begin();
  history.pushState({}, "", "/a");
  history.pushState({}, "", "/b");
  await hide();
  expect(events("page_view").map((event) => event.path)).toEqual(["/partners", "/a", "/b"]);
});

test("back from the browser's cache is a view of its own", async () => {
  await begin();
  fire("pagehide", { persisted: true });
  fire("pageshow", { persisted: true });
  await wait(1500);
  const views = events("page_view");
  expect(views.map((event) => event.navigation)).toEqual(["load", "back_forward"]);
  expect(views[0]!.view_id).not.toBe(views[1]!.view_id);
});

test("a page that is only prepared tells nothing until it is seen", async () => {
  property(document, "prerendering", true);
  await begin();
  sdk.track("early");
  await wait(60_000);
  expect(sent).toEqual([]);
  expect(kept()).toEqual({});
  property(document, "prerendering", false);
  fire("prerenderingchange", {}, document);
  await wait(3000);
  expect(events().map((event) => event.interaction_type)).toEqual(["page_view", "early"]);
});

test("with pages off the app says what a page is", async () => {
  await begin({ off: ["pages"] });
  history.pushState({}, "", "/a");
  await wait(1000);
  expect(events()).toEqual([]);
  sdk.page({ section: "pricing" });
  await wait(1000);
  const [view] = events("page_view");
  expect([view!.path, view!.properties]).toEqual(["/a", { section: "pricing" }]);
});

// Who

test("sessions end after half an hour of rest, the anonymous id stays", async () => {
  await begin();
  await wait(29 * 60_000);
  sdk.track("near");
  await wait(31 * 60_000);
  sdk.track("far");
  await wait(1000);
  const [view, near, far] = events();
  expect(near!.session_id).toBe(view!.session_id);
  expect(far!.session_id).not.toBe(view!.session_id);
  expect(far!.anonymous_id).toBe(view!.anonymous_id);
});

test("who signs in is a user from then on, on every page, until the reset", async () => {
  await begin();
  sdk.identify("u1", { plan: "pro" }, "contractor");
  sdk.track("seen");
  await wait(1000);
  const [view, identify, seen] = events();
  expect(view!.user_id).toBeUndefined();
  expect(identify).toMatchObject({
    interaction_type: "identify",
    user_id: "u1",
    user_type: "contractor",
    anonymous_id: view!.anonymous_id,
    traits: { plan: "pro" },
  });
  expect(seen).toMatchObject({ user_id: "u1", user_type: "contractor" });
  expect(JSON.parse(kept()["lakeward.person"]!).user_id).toBe("u1");
  sdk.reset();
  sdk.track("after");
  await wait(1000);
  const after = events("after")[0]!;
  expect(after.user_id).toBeUndefined();
  expect(after.anonymous_id).not.toBe(view!.anonymous_id);
  expect(after.session_id).not.toBe(view!.session_id);
});

test("another tab's person is this tab's", async () => {
  await begin();
  const person = JSON.parse(kept()["lakeward.person"]!);
  localStorage["lakeward.person"] = JSON.stringify({ ...person, user_id: "u9" });
  sdk.track("seen");
  localStorage["lakeward.person"] = "{broken";
  sdk.track("again");
  await wait(1000);
  expect(events("seen")[0]!.user_id).toBe("u9");
  expect(events("again")[0]!.user_id).toBe("u9");
});

// Consent

test("before consent nothing is kept and nothing is sent", async () => {
  await begin({ consent: "none" });
  sdk.track("quiet");
  sdk.identify("u1");
  history.pushState({}, "", "/a");
  await wait(60_000);
  await hide();
  fire("pagehide", { persisted: false });
  expect(sent).toEqual([]);
  expect(kept()).toEqual({});
  expect(sdk.consent()).toBe("none");
});

test("with consent it begins, with the view of the page and the user who is known", async () => {
  property(document, "referrer", "https://search.example/q?q=secret");
  await begin({ consent: "none" });
  sdk.identify("u1", { plan: "pro" });
  sdk.consent("full");
  await wait(2000);
  expect(events().map((event) => event.interaction_type)).toEqual(["page_view", "identify"]);
  expect(events()[0]!.referrer).toBe("https://search.example/q");
  expect(events()[1]!.user_id).toBe("u1");
  expect(sdk.consent()).toBe("full");
});

test("an anonymous visitor leaves nothing on the device, and has a session in memory only", async () => {
  await begin({ consent: "anonymous" });
  sdk.identify("u1");
  sdk.track("seen");
  await wait(1000);
  const [view, seen] = events();
  expect(view!.anonymous_id).toBeUndefined();
  expect(view!.session_id).toBe(seen!.session_id);
  expect(seen!.user_id).toBeUndefined();
  expect(events("identify")).toEqual([]);
  answers.push("offline");
  sdk.track("unsent");
  await wait(1000);
  await hide();
  expect(kept()).toEqual({});
});

test("consent that is withdrawn wipes the device and what is unsent, and is remembered", async () => {
  answers.push("offline");
  await begin();
  sdk.identify("u1");
  await wait(5000);
  sdk.consent("none");
  expect(kept()).toEqual({ "lakeward.choice": "none" });
  answers.splice(0);
  fire("online");
  await wait(100_000);
  expect(sent).toEqual([]);
  vi.resetModules();
  sdk = await import("../src/core.ts");
  await begin();
  expect(sdk.consent()).toBe("none");
  expect(sent).toEqual([]);
  sdk.consent("full");
  await wait(2000);
  expect(events("page_view")).toHaveLength(1);
  expect(kept()).not.toHaveProperty("lakeward.choice");
});

test("from full to anonymous the session is another one", async () => {
  await begin();
  sdk.consent("anonymous");
  sdk.track("seen");
  await wait(1000);
  expect(events("seen")[0]!.session_id).not.toBe(events("page_view")[0]!.session_id);
  expect(events("seen")[0]!.anonymous_id).toBeUndefined();
  expect(kept()).toEqual({ "lakeward.choice": "anonymous" });
});

test("consent that is withdrawn in another tab is withdrawn here", async () => {
  await begin();
  localStorage["lakeward.choice"] = "none";
  fire("storage", { key: "lakeward.choice", newValue: "none" });
  sdk.track("quiet");
  await wait(2000);
  expect(events("quiet")).toEqual([]);
});

test.each([
  ["globalPrivacyControl", true],
  ["doNotTrack", "1"],
])("a browser with %s is anonymous at most, or what the app says", async (name, value) => {
  property(navigator, name, value);
  await begin();
  sdk.consent("full");
  expect(sdk.consent()).toBe("anonymous");
  expect(kept()).toEqual({});
  vi.resetModules();
  sdk = await import("../src/core.ts");
  await begin({ signal: "none" });
  expect(sdk.consent()).toBe("none");
  property(navigator, name, undefined);
});

test("a word that is no mode permits nothing", async () => {
  await begin({ consent: "nnoe" });
  expect(sdk.consent()).toBe("none");
  expect(sent).toEqual([]);
});
