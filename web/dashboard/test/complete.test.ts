import { describe, expect, it } from "vitest";
import { complete } from "../src/explore/complete";
import { parts } from "../src/explore/highlight";
import type { Schema } from "../src/explore/schema";

const column = (name: string) => ({ name, type: "VARCHAR", doc: "", unit: "" });
const SCHEMA: Schema = {
  views: [
    { name: "interactions", doc: "", columns: [column("user_id"), column("route"), column("outcomes")] },
    { name: "deals", doc: "", columns: [column("value"), column("currency")] },
    { name: "click", doc: "", like: "interactions", own: [{ path: "properties.place", type: "text", doc: "", unit: "", sql: "properties->>'$.place'" }] },
  ],
  functions: ["upper", "unicode"],
  table_functions: ["range"],
  keywords: ["SELECT", "FROM", "WHERE", "USING"],
};
const labels = (sql: string, asked = false) => complete(sql, sql.length, SCHEMA, asked).choices.map((choice) => choice.label);

describe("completion", () => {
  it("offers views after FROM and columns of the view elsewhere", () => {
    expect(labels("SELECT * FROM de")).toEqual(["deals"]);
    expect(labels("SELECT * FROM deals WHERE cur")).toEqual(["currency"]);
    expect(labels("SELECT * FROM deals WHERE rou")).toEqual([]);
  });
  it("knows an alias, and the fields in the objects of a type", () => {
    expect(complete("SELECT d. FROM deals d", 9, SCHEMA, false).choices.map((choice) => choice.label)).toEqual(["currency", "value"]);
    const sql = "SELECT * FROM deals d WHERE d.va";
    expect(complete(sql, sql.length, SCHEMA, false)).toMatchObject({ start: sql.length - 2, choices: [{ text: "value" }] });
    expect(complete("FROM click WHERE pla", 20, SCHEMA, false).choices[0]?.text).toBe("properties->>'$.place'");
  });
  it("offers columns before keywords before functions", () => {
    expect(labels("FROM interactions SELECT u")).toEqual(["user_id", "USING", "unicode()", "upper()"]);
  });
  it("is silent in texts and comments, and where nobody asked", () => {
    expect(labels("SELECT 'us", true)).toEqual([]);
    expect(labels("SELECT 1 -- us", true)).toEqual([]);
    expect(labels("SELECT ")).toEqual([]);
  });
});

describe("colours", () => {
  it("leave every letter as it was", () => {
    const sql = "SELECT 'a''b', \"c\" -- d\nFROM x /* e */ WHERE n > 1.5 AND 'open";
    const found = parts(sql, new Set(SCHEMA.keywords));
    expect(found.map((part) => part.text).join("")).toBe(sql);
    expect(found.filter((part) => part.kind === "text").map((part) => part.text)).toEqual(["'a''b'", "'open"]);
    expect(found.filter((part) => part.kind === "comment").map((part) => part.text)).toEqual(["-- d", "/* e */"]);
  });
});
