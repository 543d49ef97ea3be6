import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sit } from "../src/ask/seat";

// There are no Web Locks here, as on a page over plain http.

let said: string[];
let leaves: (() => void)[];

beforeEach(() => {
  said = [];
  leaves = [];
  localStorage.clear();
  vi.useFakeTimers();
});

afterEach(() => {
  for (const leave of leaves) leave();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function window_(name: string, seats = ["one"], steal = false): () => void {
  const leave = sit(seats, () => said.push(`${name} has it`), () => said.push(`${name} lost it`), steal);
  leaves.push(leave);
  return leave;
}

describe("a seat without Web Locks", () => {
  it("is one window's, and the next one's when that leaves", () => {
    const leave = window_("a");
    window_("b");
    vi.advanceTimersByTime(10_000);
    expect(said).toEqual(["a has it"]);
    leave();
    vi.advanceTimersByTime(3_000);
    expect(said).toEqual(["a has it", "b has it"]);
  });

  it("is another's once a window is gone without a word, and taken from one that is not", () => {
    localStorage.setItem("one", `gone ${Date.now() + 6_000}`);
    window_("a");
    vi.advanceTimersByTime(4_000);
    expect(said).toEqual([]);
    vi.advanceTimersByTime(4_000);
    expect(said).toEqual(["a has it"]);
    window_("b", ["one"], true);
    vi.advanceTimersByTime(3_000);
    expect(said).toEqual(["a has it", "a lost it", "b has it"]);
  });

  it("is one of two, and a third waits", () => {
    const first = window_("a", ["one", "two"]);
    vi.advanceTimersByTime(3_000);
    window_("b", ["one", "two"]);
    vi.advanceTimersByTime(3_000);
    window_("c", ["one", "two"]);
    vi.advanceTimersByTime(10_000);
    expect(said).toEqual(["a has it", "b has it"]);
    first();
    vi.advanceTimersByTime(3_000);
    expect(said).toEqual(["a has it", "b has it", "c has it"]);
  });

  it("is every window's own where nothing can be stored", () => {
    const denied = () => {
      throw new Error("denied");
    };
    vi.stubGlobal("localStorage", { getItem: denied, setItem: denied, removeItem: denied });
    window_("a");
    window_("b");
    vi.advanceTimersByTime(3_000);
    expect([...said].sort()).toEqual(["a has it", "b has it"]);
  });
});
