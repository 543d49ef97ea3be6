// One conversation, turn by turn: what was said as far as it is kept, what it cost, how it was found.

import { type Answer, type Cells, type Value, number, place, text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { State } from "../card/card";
import { Dialog } from "../card/dialog";
import { href, setQuery, useQuery } from "../shell/place";
import { visible } from "../text";
import { figure, moment } from "../unit";

export function Thread({ conversation, zone }: { conversation: string; zone: string }) {
  const [service] = useQuery("app");
  const turns = useQuestion("ai_thread", { conversation, ...(service ? { service } : {}) }, null); // all of it, whenever it was
  const title = visible(conversation);
  const close = () => setQuery({ thread: null, app: null });
  return (
    <Dialog title={title} side onClose={close}>
      <State data={turns} empty={turns.value?.rows.length === 0} hint="There is no such conversation.">
        {turns.value && <Turns answer={turns.value} zone={zone} />}
      </State>
    </Dialog>
  );
}

function Turns({ answer, zone }: { answer: Answer; zone: string }) {
  const first = answer.rows[0];
  const said = ["user", "feature", "service"].map((name) => [name, text(first, place(answer, name))] as const).filter(([, value]) => value);
  return (
    <>
      {said.length > 0 && <p class="tools small muted">{said.map(([name, value]) => <span key={name}>{name} <bdi class="tag">{visible(value ?? "")}</bdi></span>)}</p>}
      <ol class="turns" aria-label="Turns">
        {answer.rows.map((row) => <Turn key={text(row, 0) ?? ""} answer={answer} row={row} zone={zone} />)}
      </ol>
    </>
  );
}

function Turn({ answer, row, zone }: { answer: Answer; row: Cells; zone: string }) {
  const of = (name: string) => text(row, place(answer, name));
  const amount = (name: string) => number(row, place(answer, name));
  const status = of("status");
  const trace = of("trace_id");
  const stars = amount("rating");
  const up = amount("ratings_helpful") ?? 0;
  const down = amount("ratings_unhelpful") ?? 0;
  const cost = amount("cost_usd");
  const estimated = of("tokens_source") === "estimated";
  const messages = row[place(answer, "messages")] ?? null;
  return (
    <li class="turn" data-turn={of("interaction_id")}>
      <Messages messages={messages} />
      <p class="tools small muted about">
        <span>{moment(of("started_at") ?? "", zone)}</span>
        {of("model") && <bdi>{visible(of("model") ?? "")}</bdi>}
        {status && status !== "completed" && <span class="tag bad">{visible(status)}{of("error_type") && <bdi>: {visible(of("error_type") ?? "")}</bdi>}</span>}
        {amount("total_tokens") !== null && <span>{figure("", amount("total_tokens"))} tokens{estimated ? ", estimated" : ""}</span>}
        <span data-cost={cost ?? ""}>{cost === null ? "no price" : figure("USD", cost)}</span>
        {amount("duration_ms") !== null && <span>{figure("ms", amount("duration_ms"))}{amount("time_to_first_token_ms") !== null && `, first token ${figure("ms", amount("time_to_first_token_ms"))}`}</span>}
        {up > 0 && <span class="good">{up} found it helpful</span>}
        {down > 0 && <span class="bad">{down} did not find it helpful</span>}
        {stars !== null && <span aria-label={`${stars} of 5 stars`}>{"★".repeat(Math.max(0, Math.min(5, stars)))}{"☆".repeat(5 - Math.max(0, Math.min(5, stars)))}</span>}
        {of("reason") && <bdi class="tag">{visible(of("reason") ?? "")}</bdi>}
        {trace && <a href={href("live", { trace })}>Trace</a>}
      </p>
    </li>
  );
}

interface Message {
  role: string;
  parts: string[];
}

function Messages({ messages }: { messages: Value }) {
  const shown = messagesOf(messages);
  if (!shown.length) return <p class="nothing muted small">What was said is not stored.</p>;
  return (
    <>
      {shown.map((message, n) => (
        <div key={n} class={`message ${message.role === "assistant" ? "answer" : message.role === "user" ? "asked-by" : "other"}`}>
          <p class="role muted small"><bdi>{visible(message.role)}</bdi></p>
          {message.parts.map((part, m) => <p key={m} class="words"><bdi>{visible(part)}</bdi></p>)}
        </div>
      ))}
    </>
  );
}

/** Roles and texts of whatever shape messages have; what is no text is shown as it is stored. */
function messagesOf(messages: Value): Message[] {
  if (!Array.isArray(messages)) return messages === null ? [] : [{ role: "said", parts: [written(messages)] }];
  return messages.map((each) => {
    if (each === null || typeof each !== "object" || Array.isArray(each)) return { role: "said", parts: [written(each)] };
    const role = typeof each["role"] === "string" ? each["role"] : "said";
    const { role: _role, content, ...rest } = each;
    const parts = Array.isArray(content) ? content.map(textOf) : content === null || content === undefined ? [] : [textOf(content)];
    if (Object.keys(rest).length) parts.push(written(rest));
    return { role, parts };
  });
}

function textOf(part: Value): string {
  if (typeof part === "string") return part;
  const text = part !== null && typeof part === "object" && !Array.isArray(part) ? part["text"] : null;
  return typeof text === "string" ? text : written(part);
}

function written(value: Value): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
