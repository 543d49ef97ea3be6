// One query at a time: run, cancelled, refused, done.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer, Cells } from "../ask/answer";
import { Refused, send, tell } from "../ask/client";
import { save } from "../card/file";
import { remember } from "./history";

interface Told {
  columns: { name: string; type: string; kind: string }[];
  rows: Cells[];
  truncated: boolean;
  took_ms: number;
}

export interface Result {
  sql: string;
  answer: Answer;
  truncated: boolean;
}

export interface Running {
  busy: boolean;
  /** What is under way: an answer, or a file. */
  what: "" | "json" | "csv" | "parquet";
  result: Result | null;
  refused: string;
  said: string;
  run: (sql: string) => void;
  download: (sql: string, format: "csv" | "parquet") => void;
  cancel: () => void;
}

export const LIMIT = 1000;

export function useRunning(): Running {
  const [what, setWhat] = useState<Running["what"]>("");
  const [result, setResult] = useState<Result | null>(null);
  const [refused, setRefused] = useState("");
  const [said, setSaid] = useState("");
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []); // who leaves the page ends the query

  const begin = async (kind: Running["what"], work: (signal: AbortSignal) => Promise<string>) => {
    abort.current?.abort();
    const mine = (abort.current = new AbortController());
    setWhat(kind);
    setRefused("");
    setSaid("Running…");
    try {
      setSaid(await work(mine.signal));
    } catch (error) {
      if (abort.current !== mine) return;
      setSaid(mine.signal.aborted ? "Cancelled." : "");
      if (!mine.signal.aborted) setRefused(error instanceof Refused ? error.message : "The answer could not be read.");
    }
    if (abort.current === mine) setWhat("");
  };

  const run = (sql: string) => void begin("json", async (signal) => {
    remember(sql);
    const { value } = await tell<Told>("sql", "", { body: { sql, limit: LIMIT }, signal });
    if (!value) return "";
    const columns = value.columns.map((column) => ({ name: column.name, kind: column.kind, unit: "", doc: column.type }));
    setResult({ sql, truncated: value.truncated, answer: { kind: "", question: {}, columns, rows: value.rows, took_ms: value.took_ms } });
    return value.rows.length === 1 ? "1 row." : `${value.rows.length} rows.`;
  });

  const download = (sql: string, format: "csv" | "parquet") => void begin(format, async (signal) => {
    const answer = await send("sql", "", { body: { sql, format }, signal });
    const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1];
    save(name ?? `lakeward.${format}`, await answer.blob());
    return "Saved.";
  });

  return { busy: what !== "", what, result, refused, said, run, download, cancel: () => abort.current?.abort() };
}
