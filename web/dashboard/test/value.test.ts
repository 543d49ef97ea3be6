// Values as text, CSV, and lines of a chart.

import { describe, expect, it, vi } from "vitest";
import type { Answer } from "../src/ask/answer";
import { csv } from "../src/card/file";
import { linesOf } from "../src/chart/lines";
import { drawable, leftOut, leftOutOfBars } from "../src/explore/left";
import { visible } from "../src/text";
import { bytes, change, figure, seconds, ticksOf, written } from "../src/unit";

const column = (name: string, kind: string, unit = "") => ({ name, kind, unit, doc: "" });

describe("figures", () => {
  it("have their unit", () => {
    expect(figure("0 to 1", 0.1234)).toBe("12%");
    expect(figure("0 to 1", 0.0123)).toBe("1.2%");
    expect(figure("0 to 1", -0.0123)).toBe("−1.2%");
    expect(figure("ms", 12_345)).toBe("12 s");
    expect(figure("s", 5_400)).toBe("1.5 h");
    expect(figure("bytes", 1_530_000)).toBe("1.5 MB");
    expect(figure("interactions", null)).toBe("–");
    expect(figure("interactions", Number.NaN)).toBe("–");
    expect([seconds(0.2), seconds(89), seconds(600), seconds(864_000)]).toEqual(["200 ms", "89 s", "10 min", "10 d"]);
    expect([bytes(0), bytes(999), bytes(1e15)]).toEqual(["0 B", "999 B", "1.0 PB"]);
  });

  it("of small money keep their digits", () => {
    expect(figure("USD", 0.0243)).toContain("0.0243");
    expect(figure("EUR", 12.5)).toContain("12.50");
  });

  it("change by a sign and a share, and by nothing where nothing is known", () => {
    expect([change(0.123), change(-0.5), change(0), change(null), change(undefined)]).toEqual(["+12%", "−50%", "±0%", "", ""]);
    expect(change(14)).toBe("15×");
  });

  it("of an axis are all in the unit of the largest", () => {
    expect(ticksOf("ms", [0, 500, 1000, 1500])).toEqual(["0", "0.5 s", "1 s", "1.5 s"]);
    expect(ticksOf("interactions", [0, 5000, 10_000])).toEqual(["0", "5K", "10K"]);
    expect(ticksOf("interactions", [0, 2000, 4000])).toEqual(["0", "2,000", "4,000"]);
    expect(ticksOf("s", [0, 900, 1800])).toEqual(["0", "15 min", "30 min"]);
    expect(ticksOf("0 to 1", [0, 0.05, 0.1])).toEqual(["0%", "5%", "10%"]);
  });

  it("of a column are written in full", () => {
    expect(written({ kind: "integer", unit: "rows" }, 1_234_567)).toBe((1_234_567).toLocaleString());
    expect(written({ kind: "boolean", unit: "" }, true)).toBe("yes");
    expect(written({ kind: "text", unit: "" }, "a\u202eb")).toBe("a\\u202eb");
    expect(written({ kind: "json", unit: "" }, { a: [1] })).toBe('{"a":[1]}');
    expect(written({ kind: "text", unit: "" }, null)).toBe("–");
  });
});

describe("CSV", () => {
  it("quotes what has to be, and lets no formula through", () => {
    const columns = [{ name: "a" }, { name: "b,c" }];
    expect(csv(columns, [["x\"y", 1.5], ["=1+1", "\uff1dA1"], ["line\nbreak", true], ["-2", -2]])).toBe(
      'a,"b,c"\r\n"x""y",1.5\r\n\'=1+1,\'\uff1dA1\r\n"line\nbreak",true\r\n\'-2,-2\r\n',
    );
  });
});

it("what steers a page is made visible", () => {
  expect(visible("a\u0000b\u200fc")).toBe("a\u2400b\\u200fc");
});

describe("lines", () => {
  const answer: Answer = {
    kind: "trend", question: {},
    columns: [column("moment", "date"), column("route", "text"), column("series_1", "integer", "interactions")],
    rows: [["2026-01-02", "/a", 2], ["2026-01-01", "/a", 1], ["2026-01-01", "/b", 5], ["2026-01-02", null, 7]],
    compared: { since: "", until: "", rows: [["2025-12-31", "/a", 9], ["2025-12-30", "/a", 8]] },
  };

  it("are in the order of time, with nothing where there is no value", () => {
    const found = linesOf(answer, { values: ["series_1"], split: "route" });
    expect(found.x).toEqual([Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 2)]);
    expect(found.lines.map((line) => [line.label, line.values])).toEqual([["/a", [1, 2]], ["/b", [5, null]], ["(none)", [null, 7]]]);
    expect(found.lines[0]?.before).toEqual([8, 9]);
    expect([found.dates, found.open]).toEqual([true, false]);
  });

  it("have every day of the range, where the answer has some alone", () => {
    const rows = [["2026-01-05", 1], ["2026-01-08", null]];
    const columns = [column("day", "date"), column("n", "integer")];
    const over = { first: { year: 2026, month: 1, day: 4 }, last: { year: 2026, month: 1, day: 8 }, since: "", until: "" };
    const values = (none: 0 | null) => linesOf({ kind: "ai_cost", question: {}, columns, rows }, { x: "day", values: ["n"], over, none }).lines[0]?.values;
    expect([values(0), values(null)]).toEqual([[0, 1, 0, 0, null], [null, 1, null, null, null]]);
    const by = (x: string, kind: string) => linesOf(
      { kind: "ai_cost", question: {}, columns: [column(x, kind), column("n", "integer")], rows: [[x === "hour" ? "2026-01-04T01:00:00Z" : x === "week" ? "2025-12-29" : "2026-01-01", 1]] },
      { x, values: ["n"], over: { ...over, since: "2026-01-04T00:00:00Z", until: "2026-01-04T03:00:00Z" }, none: 0 },
    );
    expect(by("hour", "time").lines[0]?.values).toEqual([0, 1, 0]);
    expect(by("week", "date").x).toEqual([Date.UTC(2025, 11, 29), Date.UTC(2026, 0, 5)]);
    expect(by("month", "date").x).toEqual([Date.UTC(2026, 0, 1)]);
  });

  it("end with the present: of what is to come nothing is drawn", () => {
    const later = new Date(Date.now() + 10 * 86_400_000).toISOString();
    const rows = [[new Date(Date.now() - 1000).toISOString(), "/a", 1], [later, "/a", 0]];
    const found = linesOf({ ...answer, columns: [column("moment", "time"), ...answer.columns.slice(1)], rows }, { values: ["series_1"] });
    expect([found.x.length, found.open]).toEqual([1, true]);
  });
});

it("what a drawing of a result leaves out is said", () => {
  const told = {
    kind: "", question: {}, columns: [column("day", "local"), column("who", "text"), column("n", "integer")],
    rows: [
      ["2026-01-01T00:00:00", "a", 1], ["2026-01-01T00:00:00", "a", 2], ["2026-01-02T00:00:00", "a", null],
      [null, "a", 3], ["2026-01-01T00:00:00", "b", "9007199254740993"], ["2026-01-01T00:00:00", "c", 1], ["2026-01-02T00:00:00", "d", 1],
    ],
  };
  const drawn = drawable(told);
  expect(drawn.rows[4]).toEqual(["2026-01-01T00:00:00Z", "b", 9007199254740992]);
  expect(leftOut(drawn, { x: "day", y: "n", split: "who", most: 2 })).toEqual([
    "2 rows of 2 further values of who, as 2 lines are drawn", "1 row without a time in day", "1 row without a number in n",
    "1 row at a moment that another row of the same line has, too: group them",
  ]);
  expect(leftOut(drawn, { x: "day", y: "n", split: "", most: 2 }).at(-1)).toBe("3 rows at a moment that another row has, too: group them");
  expect(leftOutOfBars(drawn, "n")).toEqual(["1 row without a number in n"]);
});

it("a figure in full keeps all of it, and nearly all is not all", () => {
  expect(figure("", 123456.789, false)).toBe((123456.789).toLocaleString(undefined, { maximumSignificantDigits: 15 }));
  expect(figure("", 0.123456789, false)).toBe("0.123456789");
  expect([figure("0 to 1", 0.997), figure("0 to 1", 1)]).toEqual([">99%", "100%"]);
});

it("a day of an answer is over when it is over in the answer's zone", () => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 26, 21, 30) });
  const days = { columns: [{ name: "moment", kind: "date", unit: "", doc: "" }, { name: "n", kind: "integer", unit: "", doc: "" }], rows: [["2026-11-25", 1], ["2026-11-26", 2], ["2026-11-27", 3]] };
  const shown = (zone: string) => {
    const found = linesOf({ kind: "trend", question: { zone }, ...days }, { values: ["n"] });
    return [found.x.length, found.open];
  };
  expect([shown("Asia/Tokyo"), shown("UTC"), shown("America/Los_Angeles")]).toEqual([[3, true], [2, true], [2, true]]);
  vi.setSystemTime(Date.UTC(2026, 10, 27, 2));
  expect([shown("UTC"), shown("America/Los_Angeles")]).toEqual([[3, true], [2, true]]);
  vi.useRealTimers();
});
