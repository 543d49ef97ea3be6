import { beforeEach, expect, test } from "vitest";

import { idOf, traceOf } from "../src/ids.ts";
import { settle } from "../src/settings.ts";
import { clean, typeOf } from "../src/words.ts";
import "./page.ts";

beforeEach(() => settle({}));

test.each([
  ["Order Completed", "order_completed"],
  ["  signed up! ", "signed_up"],
  ["checkout:step.2-b", "checkout:step.2-b"],
  ["3rd try", "event_3rd_try"],
  ["$pageview", "pageview"],
  ["Größe", "gr_e"],
  ["", "event"],
  ["!!!", "event"],
  ["a".repeat(70), "a".repeat(64)],
  ["9" + "a".repeat(70), "event_9" + "a".repeat(57)],
])("the name %j becomes the type %j, as with every other client", (name, type) => {
  expect(typeOf(name)).toBe(type);
});

test("an id is a page's UUIDv8 of its millisecond, and never the same twice", () => {
  const ms = Date.parse("2025-08-14T16:11:28.677Z");
  const ids = Array.from({ length: 1000 }, () => idOf(ms));
  expect(new Set(ids).size).toBe(1000);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8fff-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(parseInt(id.replace(/-/g, "").slice(0, 12), 16)).toBe(ms);
  }
  expect(idOf(7)).toHaveLength(36);
  expect(traceOf(ids[0]!)).toMatch(/^[0-9a-f]{32}$/);
});

test("an address loses user, fragment and every parameter that nobody named", () => {
  settle({ query: ["tab"] });
  const address = "https://u:p@example.com/a/b?token=s&tab=x%20y&utm_source=z&ta=1#secret";
  expect(clean(address)).toBe("https://example.com/a/b?tab=x+y&utm_source=z");
  expect(clean("/c?x=1")).toBe("https://example.com/c");
  expect(clean("")).toBeUndefined();
  expect(clean("https://example.com/" + "a".repeat(5000))).toHaveLength(2000);
});

test.each(["mailto:ada@example.com", "tel:+4930123", "javascript:alert(1)", "blob:https://a/b"])(
  "of %s only the scheme is left",
  (address) => expect(clean(address)).toMatch(/^[a-z]+:$/),
);
