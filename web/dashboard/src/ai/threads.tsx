// Conversations: those in which a text is, the newest first; one is opened beside the page.

import { useEffect, useState } from "preact/hooks";
import { type Cells, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { setQuery, useQuery } from "../shell/place";
import { visible } from "../text";
import type { Scope } from "./only";

const TYPING_MS = 300;
const STEP = 50;
const MOST = 1000;
const SHOWN = ["conversation", "user", "feature", "turns", "last_at", "models", "cost_usd", "helpful", "unhelpful", "failed"];

export function Threads({ range, only }: Scope) {
  const [find] = useQuery("find");
  const [typed, setTyped] = useState(find);
  const [limit, setLimit] = useState(STEP);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (typed !== find) setQuery({ find: typed || null }, true);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const threads = useQuestion("ai_threads", { only, limit, ...(find ? { find } : {}) }, { ...range, compare: "" });
  const columns = threads.value?.columns ?? [];
  const service = columns.findIndex((column) => column.name === "service");
  const search = (
    <input class="search" type="search" value={typed} maxLength={200} placeholder="Find in conversations" aria-label="Find in conversations"
      onInput={(event) => setTyped(event.currentTarget.value)} />
  );
  const open = (row: Cells) => setQuery({ thread: text(row, place({ columns }, "conversation")), app: text(row, service) });
  return (
    <Card id="threads" tall={516} title="Conversations" class="wide threads" data={threads} zone={range.zone} tools={search}
      hint={find ? <>No conversation has <bdi>“{visible(find)}”</bdi> in it.</> : "No conversation in this range."}
      definition="Conversations with an AI by when their last turn began. What is looked for is part of the conversation's id, of who asked, its feature, its model, or of what was said, as far as it is stored; the figures are of all its turns in the range.">
      {(answer) => (
        <>
          <Table columns={answer.columns} rows={answer.rows} label="Conversations" zone={range.zone} only={SHOWN}
            titles={{ last_at: "last turn", cost_usd: "cost", unhelpful: "not helpful" }}
            cells={{
              conversation: (value, row) => (
                <button type="button" class="link" onClick={() => open(row)}><bdi>{visible(String(value))}</bdi></button>
              ),
              failed: (value) => (value ? <span class="bad">{String(value)}</span> : "–"),
            }} />
          {answer.rows.length >= limit && limit < MOST && (
            <p class="more"><button type="button" class="link" onClick={() => setLimit(Math.min(MOST, limit * 4))}>Show more conversations</button></p>
          )}
        </>
      )}
    </Card>
  );
}
