import { describe, expect, it } from "vitest";
import { categoryOf, flagOf, pulled, shortId, witnesses } from "../src/partners/words";

describe("PowerConfidence in words", () => {
  it("says how many of whom", () => {
    expect(witnesses("employees", 1)).toBe("1 employee");
    expect(witnesses("customer", 3)).toBe("3 customers");
    expect(witnesses("anybody", 2)).toBe("2 witnesses");
  });

  it("gives a pull its sign, and none to nothing", () => {
    expect(pulled(1.234)).toBe("+1.23");
    expect(pulled(-1.236)).toBe("−1.24");
    expect(pulled(-0.0006)).toBe("0.00");
    expect(pulled(-2, 0)).toBe("−2");
  });

  it("shows the end of an id, where ids of one day differ", () => {
    expect(shortId("01a20b7e-f7b7-7a56-9c87-da22760d7fee")).toBe("…760d7fee");
    expect(shortId("demo-1")).toBe("demo-1");
  });

  it("lets nothing of a name steer the page", () => {
    expect(categoryOf("a\u202eb")).toBe("A\\u202eb");
    expect(flagOf("new_kind")).toBe("new kind");
    expect(categoryOf("recommend")).toBe("Would recommend");
  });
});
