// Steps between the address and questions; paths as a drawing; experiments in words.

import { describe, expect, it } from "vitest";
import { interval, signed } from "../src/experiments/words";
import type { Effect, Metric } from "../src/experiments/report";
import { byPosition, drawing, edgesOf, nameOf } from "../src/paths/edges";
import { type Step, asked, said, stepsOf, term, writtenSteps } from "../src/steps/step";

const STEP: Step = { event: "page_view", label: "prices", conditions: [{ field: "path", op: "starts", values: ["/pricing"] }, { field: "properties.plan", op: "is", values: [] }] };

describe("steps", () => {
  it("come back out of the address as they were put in, with what is not whole yet", () => {
    expect(stepsOf(writtenSteps([STEP, { event: "*", label: "", conditions: [], after: 2 }]))).toEqual([STEP, { event: "*", label: "", conditions: [], after: 2 }]);
    expect(writtenSteps([])).toBe("");
  });
  it("are asked with whole conditions alone", () => {
    expect(asked(STEP)).toEqual({ event: "page_view", label: "prices", where: { field: "path", op: "starts", values: ["/pricing"] } });
    expect(asked({ ...STEP, conditions: [] })).toEqual({ event: "page_view", label: "prices" });
  });
  it("are none where the address says nonsense", () => {
    for (const text of ["", "{", "[1,null]", '{"event":"x"}', '[{"event":5}]']) expect(stepsOf(text)).toEqual([]);
    expect(stepsOf('[{"event":"x","where":{"any":[]}}]')).toEqual([{ event: "x", label: "", conditions: [] }]);
  });
  it("compare numbers with numbers, and text with text", () => {
    expect([term("500", "is", "integer"), term("500", "is", "text"), term("7", "above", "text"), term("true", "is", "boolean"), term("x", "above", "text")]).toEqual([500, "500", 7, true, 0]);
    expect(said({ field: "path", op: "unknown", values: [] })).toBe("path is not known");
  });
});

const column = (name: string) => ({ name, kind: "text", unit: "", doc: "" });
const PATHS = {
  kind: "paths", question: {}, columns: ["position", "from", "to", "units", "sessions", "median_seconds"].map(column),
  rows: [[-2, "/a", "/b", 1, 2, 3], [-2, null, "/b", 1, 1, null], [-1, "/b", "/c", 3, 3, 9], [-1, null, null, 5, 7, null]],
};

describe("paths", () => {
  it("have a node for each name at each place, and leave out what is many ways in one", () => {
    const { nodes, flows } = drawing(edgesOf(PATHS));
    expect(nodes.map((node) => [node.depth, node.label])).toEqual([[0, "/a"], [1, "/b"], [0, "(session begins)"], [2, "/c"]]);
    expect(flows.map((flow) => [nameOf(flow.from), nameOf(flow.to), flow.value])).toEqual([["/a", "/b", 2], ["", "/b", 1], ["/b", "/c", 3]]);
  });
  it("are listed by place, all other ways last", () => {
    expect(byPosition(edgesOf(PATHS)).map(([position, edges]) => [position, edges.map((edge) => edge.sessions)])).toEqual([[-2, [2, 1]], [-1, [3, 7]]]);
  });
});

describe("experiments", () => {
  const metric = { metric: "m", kind: "share", role: "metric", better: "higher", arms: [], effects: [] } as Metric;
  const effect: Effect = { arm: "b", difference: { value: 0.1075, low: -0.01, high: 0.2, p: 0.5 }, lift: null, p_adjusted: null, state: "unclear", belief: null, detectable: null };
  it("say shares in points and anything else as numbers", () => {
    expect([signed(metric, 0.1075), signed(metric, 0), signed({ ...metric, kind: "mean" }, -1.141)]).toEqual(["+11 points", "0", "−1.14"]);
    expect(interval(metric, effect, 0.95)).toBe("+11 points (95 % interval −1 points to +20 points)");
    expect(interval(metric, { ...effect, difference: null }, 0.95)).toBe("there is no value to compare");
    expect(interval(metric, { ...effect, difference: { value: 0.1, low: null, high: null, p: null } }, 0.9)).toContain("no interval yet");
  });
});
