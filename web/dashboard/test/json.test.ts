// JSON laid out without being read.

import { describe, expect, it } from "vitest";
import { laidOut } from "../src/json";

describe("a record", () => {
  it("is laid out as JSON.stringify would, where its numbers can be", () => {
    const record = { a: 1, b: [], c: {}, d: [1, { e: "x: {\"y\", [z]} \\" }, null], f: { g: true }, "h\u202e": -1.5e-7 };
    expect(laidOut(JSON.stringify(record))).toBe(JSON.stringify(record, null, 2));
    expect(laidOut(' { "a" :\n[ 1 ,2 ] } ')).toBe('{\n  "a": [\n    1,\n    2\n  ]\n}');
  });

  it("keeps its numbers as they were stored", () => {
    expect(laidOut('{"id":9007199254740993,"share":1.10,"far":1e400}')).toBe('{\n  "id": 9007199254740993,\n  "share": 1.10,\n  "far": 1e400\n}');
  });

  it("that is none is shown as it is", () => {
    for (const text of ["", "{", "hello {\"a\": 1}"]) expect(laidOut(text)).toBe(text);
  });
});
