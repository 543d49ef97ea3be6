// Ranges and zones: every day begins when the zone's clocks say so, in every zone and year.

import { describe, expect, it } from "vitest";
import { rangeOf } from "../src/shell/range";
import { addDays, compareDays, dayStart, readDay, wall, writeDay } from "../src/shell/zone";

const ZONES = [
  "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe",
  "Pacific/Apia", "America/Havana", "Africa/Cairo", "Asia/Beirut", "Pacific/Kiritimati",
];

describe("the first moment of a day", () => {
  it("is of that day, and the moment before it is not", () => {
    for (const zone of ZONES) {
      for (let n = 0; n < 1200; n += 1) {
        const day = addDays({ year: 2017, month: 1, day: 1 }, n * 3);
        const start = dayStart(day, zone);
        if (compareDays(wall(start, zone), day) !== 0) throw new Error(`${writeDay(day)} in ${zone} begins on another day`);
        if (compareDays(wall(start - 1000, zone), day) >= 0) throw new Error(`${writeDay(day)} in ${zone} begins too late`);
      }
    }
  });

  it("is one in the morning where clocks are put forward at midnight", () => {
    const start = dayStart({ year: 2017, month: 10, day: 15 }, "America/Sao_Paulo");
    expect(new Date(start).toISOString()).toBe("2017-10-15T03:00:00.000Z");
    expect(wall(start, "America/Sao_Paulo").hour).toBe(1);
  });
});

describe("a range", () => {
  const noon = Date.UTC(2026, 10, 26, 12);

  it("of seven days ends with today and has seven days of the zone", () => {
    const range = rangeOf("7d", "Europe/Berlin", "", noon);
    expect([range.since, range.until]).toEqual(["2026-11-19T23:00:00.000Z", "2026-11-26T23:00:00.000Z"]);
    expect([range.grain, range.current]).toEqual(["day", true]);
  });

  it("has a day of 23 hours where clocks are put forward", () => {
    const range = rangeOf("2026-03-29..2026-03-29", "Europe/Berlin", "", noon);
    expect(Date.parse(range.until) - Date.parse(range.since)).toBe(23 * 3_600_000);
    expect([range.grain, range.current]).toEqual(["hour", false]);
  });

  it("of today is that of the zone, not that of UTC", () => {
    const late = Date.UTC(2026, 10, 26, 23, 30);
    expect(rangeOf("today", "Asia/Kathmandu", "", late).since).toBe("2026-11-26T18:15:00.000Z");
    expect(rangeOf("yesterday", "UTC", "", late).since).toBe("2026-11-25T00:00:00.000Z");
  });

  it("of twelve months, a month, and days of the reader's own", () => {
    expect(writeDay(rangeOf("12m", "UTC", "", noon).first)).toBe("2025-11-27");
    expect(writeDay(rangeOf("month", "UTC", "", noon).first)).toBe("2026-11-01");
    expect(rangeOf("2026-01-05..2026-03-01", "UTC", "", noon).label).toBe("2026-01-05 – 2026-03-01");
  });

  it("that is none is the usual one", () => {
    for (const text of ["", "nonsense", "2026-02-30..2026-03-01", "2026-03-02..2026-03-01", "0d", "99999999d", "../..", "constructor", "toString"]) {
      const range = rangeOf(text, "UTC", "", noon);
      expect([text, writeDay(range.first), writeDay(range.last)]).toEqual([text, "2026-11-20", "2026-11-26"]);
    }
  });
});

it("a day that does not exist is not read", () => {
  expect([readDay("2026-02-30"), readDay("2026-2-3"), readDay("")]).toEqual([null, null, null]);
  expect(readDay("2028-02-29")).toEqual({ year: 2028, month: 2, day: 29 });
});
