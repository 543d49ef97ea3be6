import { beforeEach, expect, test, vi } from "vitest";

import { events, fire, hide, kept, property, sent, wait } from "./page.ts";

type Sdk = typeof import("../src/lakeward.ts");
let sdk: Sdk;

const begin = async (html = "", options: object = {}): Promise<void> => {
  document.body.innerHTML = html;
  sdk = await import("../src/lakeward.ts");
  sdk.init({ key: "k", host: "https://data.example.com", ...options });
  await wait(3000);
};
const $ = (selector: string): HTMLElement => document.querySelector<HTMLElement>(selector)!;
let instant = 0;
const click = (selector: string, fields: object = {}): Event =>
  fire("click", { timeStamp: ++instant, ...fields }, $(selector));
const told = async (type: string): Promise<Record<string, any>[]> => {
  await wait(1000);
  return events(type);
};

beforeEach(() => {
  property(navigator, "language", "en-GB");
});

// Clicks

test("a click on a link, a button or a marked element is told, on anything else not", async () => {
  await begin(`
    <a id=a class="nav big" href="/two?token=s3cr3t&utm_source=x#y">Two <b>pages</b></a>
    <button class="primary">Book
      a demo</button>
    <p data-lw-plan="pro" data-lw-mask="">Marked</p>
    <p id=plain>Plain</p>`);
  click("b", { pageX: 10.4, pageY: 20.6 });
  click("button");
  click("[data-lw-plan]");
  click("#plain");
  const [link, button, marked, ...rest] = await told("click");
  expect(link).toMatchObject({
    element: "a",
    element_id: "a",
    element_text: "Two pages",
    selector: "a#a",
    href: "https://example.com/two?utm_source=x",
    outbound: false,
    x: 10,
    y: 21,
  });
  expect(button).toMatchObject({ element: "button", element_text: "Book a demo" });
  expect(button!.selector).toMatch(/body>button\.primary$/);
  expect(marked).toMatchObject({ element: "p", data: { plan: "pro" } });
  expect(marked!.element_text).toBeUndefined();
  expect(rest).toEqual([]);
});

test.each([
  ["https://other.example/p?token=1", "https://other.example/p", true],
  ["mailto:ada@example.com", "mailto:", undefined],
  ["https://example.com.evil.example/", "https://example.com.evil.example/", true],
])("of a link to %s, %s is told", async (href, clean, outbound) => {
  await begin(`<a href="${href}">x</a>`);
  click("a");
  expect((await told("click"))[0]).toMatchObject({ href: clean });
  expect(events("click")[0]!.outbound).toBe(outbound);
});

test("a click that a label passes on to its field is told once, the next one again", async () => {
  await begin(`<label data-lw-plan="pro"><input id=field type=radio><b>Pro</b></label>`);
  for (const selector of ["b", "#field"]) click(selector, { timeStamp: 1e6 });
  click("#field");
  const clicks = await told("click");
  expect(clicks.map((event) => event.data)).toEqual([{ plan: "pro" }, { plan: "pro" }]);
});

test("texts that people type or that are masked never leave, ignored elements are not there", async () => {
  await begin(`
    <div data-lw-mask><button id=masked>Ada Lovelace</button></div>
    <div data-lw-ignore><button id=ignored>Ada</button></div>
    <div contenteditable><a id=typed href="/x">Ada</a></div>
    <div data-lw-card id=card><!-- Ada -->Card <span data-lw-mask>Ada</span><input value="Ada">
      <textarea>Ada</textarea><select><option>Ada</option></select><style>.ada{}</style></div>
    <button id=icon aria-label="Close"></button>`);
  for (const id of ["masked", "ignored", "typed", "card", "icon"]) click("#" + id);
  const clicks = await told("click");
  expect(clicks.map((event) => [event.element_id, event.element_text])).toEqual([
    ["masked", undefined],
    ["typed", undefined],
    ["card", "Card"],
    ["icon", "Close"],
  ]);
  expect(JSON.stringify(sent)).not.toContain("Ada");
});

test("a click begins a trace, and what follows is its effect", async () => {
  await begin("<button>Go</button>");
  click("button");
  sdk.cta("book_demo", { placement: "hero" });
  sdk.ai.rate({ helpful: true, conversation_id: "c5", turn: 0, parent_interaction_id: "p-1" });
  const [event] = await told("click");
  expect(event!.trace_id).toBe(event!.interaction_id.replace(/-/g, ""));
  expect(event).not.toHaveProperty("parent_interaction_id");
  expect(events("cta_click")[0]).toMatchObject({
    cta: "book_demo",
    placement: "hero",
    trace_id: event!.trace_id,
    parent_interaction_id: event!.interaction_id,
  });
  expect(events("ai_rating")[0]).toMatchObject({ helpful: true, parent_interaction_id: "p-1" });
});

// Forms

const FORM = `<form name=verify><input name=id value=7 type=hidden><input name=email type=email>
  <input name=phone type=tel><input name=way type=radio value=a><input name=way type=radio value=b>
  <input name=off data-lw-ignore><select name=size><option value="">-<option>1</select><button>Go</button></form>`;
const type = (selector: string, value: string, fields: object = {}): void => {
  fire("focusin", {}, $(selector));
  vi.advanceTimersByTime(200);
  ($(selector) as HTMLInputElement).value = value;
  fire("input", fields, $(selector));
};
const actions = (): unknown[] =>
  events("form_interaction").map(({ action, field }) => [action, field]);

test("a form is begun, its fields are left, it is submitted: never with a value", async () => {
  await begin(FORM);
  type("[name=email]", "ada@example.com");
  fire("input", { inputType: "deleteContentBackward" }, $("[name=email]"));
  fire("focusout", {}, $("[name=email]"));
  type("[name=off]", "Lovelace");
  fire("focusout", {}, $("[name=off]"));
  type("[name=phone]", "030123456");
  fire("submit", {}, $("form"));
  fire("pagehide");
  const told_ = await told("form_interaction");
  expect(actions()).toEqual([
    ["start", undefined],
    ["field", "email"],
    ["submit", undefined],
  ]);
  expect(told_[1]).toMatchObject({
    form: "verify",
    field_type: "email",
    field_index: 0,
    field_ms: 200,
    changes: 1,
  });
  expect(told_[2]).toMatchObject({
    field_order: ["email", "phone"],
    fields_completed: 2,
    fields_total: 4,
    duration_ms: 400,
  });
  // No ids or times hold these by chance: they are hexadecimal and digits
  expect(JSON.stringify(sent) + JSON.stringify(kept())).not.toMatch(/ada@|Lovelace|030123456/i);
});

test("a form that was begun and not sent is abandoned with the view, at its last field", async () => {
  await begin(FORM);
  fire("focusin", {}, $("[name=email]"));
  fire("focusout", {}, $("[name=email]")); // looked at only
  expect(actions()).toEqual([]);
  type("[name=phone]", "1");
  history.pushState({}, "", "/elsewhere");
  const [, abandoned] = await told("form_interaction");
  expect(abandoned).toMatchObject({ action: "abandon", field: "phone", path: "/partners" });
  history.pushState({}, "", "/further");
  expect(await told("form_interaction")).toHaveLength(2);
});

test("a tab that is put away has abandoned nothing", async () => {
  await begin(FORM);
  type("[name=phone]", "1");
  await hide();
  expect(actions()).toEqual([["start", undefined]]);
});

test("a submit that the browser refuses is one error, with the first field of those", async () => {
  await begin(FORM);
  fire("invalid", {}, $("[name=email]"));
  fire("invalid", {}, $("[name=phone]"));
  vi.advanceTimersByTime(1000);
  fire("invalid", {}, $("[name=phone]"));
  await told("form_interaction");
  expect(actions()).toEqual([
    ["start", undefined],
    ["error", "email"],
    ["error", "phone"],
  ]);
});

test("a form whose field is called name has its own name all the same", async () => {
  await begin("<form id=signup><input name=name><input name=id></form>");
  type("[name=name]", "x");
  expect((await told("form_interaction"))[0]!.form).toBe("signup");
});

// Attention

test("a view is told again when it is hidden, with depth and time in use", async () => {
  property(window, "innerHeight", 500);
  property(document.documentElement, "scrollHeight", 2000);
  await begin();
  property(window, "scrollY", 700);
  fire("scroll");
  vi.advanceTimersByTime(7_000);
  fire("pointermove");
  vi.advanceTimersByTime(600_000); // gone for coffee: 30 s count
  await hide();
  const [first, again] = await told("page_view");
  expect(again).toMatchObject({ view_id: first!.view_id, scroll_depth: 60 });
  expect(again!.engagement_ms).toBe(3_000 + 7_000 + 30_000);
  expect(again!.parent_interaction_id).toBe(first!.interaction_id);
  vi.advanceTimersByTime(60_000); // hidden: nothing counts
  property(document, "hidden", false);
  fire("visibilitychange", {}, document);
  vi.advanceTimersByTime(1_000);
  await hide();
  const views = await told("page_view");
  expect(views.map((view) => view.engagement_ms)).toEqual([undefined, 40_000, 41_000]);
  fire("pagehide");
  expect(await told("page_view")).toHaveLength(3);
});

test("each view of a single-page app has its own time", async () => {
  await begin();
  history.pushState({}, "", "/b");
  vi.advanceTimersByTime(2_000);
  history.pushState({}, "", "/c");
  const views = (await told("page_view")).map((view) => [view.path, view.engagement_ms]);
  expect(views).toEqual([
    ["/partners", undefined],
    ["/partners", 3000],
    ["/b", undefined],
    ["/b", 2000],
    ["/c", undefined],
  ]);
});

// Errors

test("errors, rejections and files that do not load are told without the query of any address", async () => {
  await begin('<img id=i src="https://cdn.example/x.png?key=s3cr3t">');
  const error = new TypeError("x is not a function");
  error.stack = "TypeError: x\n at f (https://example.com/a.js?token=s3cr3t:1:2)";
  const at = { message: "Uncaught TypeError: x", filename: "https://example.com/a.js?v=1" };
  fire("error", { ...at, error, lineno: 1, colno: 2 });
  fire("unhandledrejection", { reason: error });
  fire("unhandledrejection", { reason: { name: "Ada", message: "s3cr3t" } });
  fire("unhandledrejection", { reason: "timeout" });
  fire("error", {}, $("#i"));
  const errors = await told("client_error");
  expect(errors[0]).toMatchObject({
    kind: "error",
    message: "Uncaught TypeError: x",
    error_type: "TypeError",
    source: "https://example.com/a.js",
    line: 1,
    column: 2,
    stack: "TypeError: x\n at f (https://example.com/a.js:1:2)",
  });
  expect(errors.slice(1).map(({ kind, message, source }) => [kind, message, source])).toEqual([
    ["rejection", "x is not a function", undefined],
    ["rejection", "object", undefined],
    ["rejection", "timeout", undefined],
    ["resource", "img failed to load", "https://cdn.example/x.png"],
  ]);
  expect(JSON.stringify(sent)).not.toMatch(/s3cr3t|Ada/);
});

test("the same error again is counted, and told when the page is hidden", async () => {
  await begin();
  for (let n = 0; n < 5; n++) fire("error", { message: "again", filename: "", lineno: 3 });
  for (let n = 0; n < 100; n++) fire("error", { message: "kind " + n });
  expect(await told("client_error")).toHaveLength(50);
  await hide();
  const [again] = events("client_error").slice(50);
  expect([again!.message, again!.count]).toEqual(["again", 4]);
});

// Traces

test("requests to the page's own origin carry its trace and session, others nothing", async () => {
  const asked: [string, Headers][] = [];
  vi.stubGlobal("fetch", async (input: any, init: any) => {
    asked.push([String(input.url ?? input), new Headers(init?.headers ?? input.headers)]);
    return new Response("{}");
  });
  await begin("<button>Go</button>");
  asked.length = 0;
  click("button");
  await fetch("/api/x", { headers: { a: "1" } });
  await fetch(new URL("https://example.com/api/y"));
  await fetch(new Request("https://example.com/api/z", { headers: { b: "2" } }));
  await fetch("https://other.example/");
  await fetch("/api/own", { headers: { traceparent: "mine" } });
  const [x, y, z, other, own] = asked.map(([, headers]) => Object.fromEntries(headers));
  expect(x!.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  const id = x!.tracestate!.replace("lakeward=", "");
  expect(x!.traceparent).toBe(`00-${id.replace(/-/g, "")}-${id.replace(/-/g, "").slice(16)}-01`);
  expect(x).toMatchObject({ a: "1", "x-session-id": expect.stringMatching(/^.{36}$/) });
  expect(y!.traceparent).toBe(x!.traceparent);
  expect(z).toMatchObject({ b: "2", traceparent: x!.traceparent });
  expect(other).toEqual({});
  expect(own).toEqual({ traceparent: "mine" });
});

test("XMLHttpRequest does so, too, unless the app has a trace of its own", async () => {
  const set: string[][] = [];
  const { prototype } = XMLHttpRequest;
  prototype.open = function () {};
  prototype.send = function () {};
  prototype.setRequestHeader = function (...pair) {
    set.push(pair);
  };
  await begin();
  const ask = (url: string, header?: string): string[] => {
    set.length = 0;
    const request = new XMLHttpRequest();
    request.open("GET", url);
    if (header) request.setRequestHeader(header, "mine");
    request.send();
    return set.map(([name]) => name!);
  };
  expect(ask("/api/x")).toEqual(["traceparent", "tracestate", "x-session-id"]);
  expect(ask("https://other.example/")).toEqual([]);
  expect(ask("/api/x", "Traceparent")).toEqual(["Traceparent"]);
});

test("without consent no request says anything", async () => {
  const asked: any[] = [];
  vi.stubGlobal("fetch", async (_: any, init: any) => asked.push(init));
  await begin("", { consent: "none" });
  await fetch("/api/x");
  expect(asked).toEqual([undefined]);
});

// All of it

test("what is switched off is not there", async () => {
  const before = fetch;
  await begin("<button>x</button>" + FORM, {
    off: ["clicks", "forms", "errors", "attention", "trace"],
  });
  click("button");
  type("[name=phone]", "1");
  fire("error", { message: "x" });
  await hide();
  expect(events().map((event) => event.interaction_type)).toEqual(["page_view"]);
  expect(fetch).toBe(before);
});

test("what was noted before consent is not told after it", async () => {
  await begin(FORM, { consent: "none" });
  type("[name=phone]", "1");
  vi.advanceTimersByTime(20_000);
  sdk.consent("full");
  await wait(1000);
  await hide();
  expect(actions()).toEqual([]);
  expect(events("page_view")[1]!.engagement_ms).toBeLessThan(2_000);
});
