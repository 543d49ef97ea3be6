// The same paths as a list: each edge in words, each node a button that paths start at (or end at) then.

import { count, visible } from "../text";
import { seconds } from "../unit";
import { BEGAN, type Edge, LEFT, byPosition } from "./edges";

interface Props {
  edges: readonly Edge[];
  /** Whether paths lead to a node. */
  backwards: boolean;
  onChoose: (node: string) => void;
}

export function List({ edges, backwards, onChoose }: Props) {
  return (
    <div class="ways" role="group" aria-label="Paths, step by step" tabindex={0}>
      {byPosition(edges).map(([position, each]) => {
        const longest = Math.max(1, ...each.filter((edge) => !edge.others).map((edge) => edge.sessions));
        return (
          <section key={position} aria-label={titleOf(position, backwards)}>
            <h3>{titleOf(position, backwards)}</h3>
            <ol>
              {each.map((edge, n) => (
                <li key={n} class="way">
                  {!edge.others && <span class="fill" style={{ width: `${((edge.sessions / longest) * 100).toFixed(1)}%` }} aria-hidden="true" />}
                  {edge.others ? <span class="names muted">all other ways</span> : (
                    <span class="names"><Name name={edge.from} none={BEGAN} onChoose={onChoose} /><span class="to">→</span><Name name={edge.to} none={LEFT} onChoose={onChoose} /></span>
                  )}
                  <span class="number" title={`${count(edge.sessions)} sessions of ${count(edge.units)}${edge.seconds === null ? "" : `, half within ${seconds(edge.seconds)}`}`}>
                    {count(edge.sessions)}
                  </span>
                </li>
              ))}
            </ol>
          </section>
        );
      })}
    </div>
  );
}

function titleOf(position: number, backwards: boolean): string {
  if (!backwards) return `Step ${position}`;
  return position === -1 ? "Last step" : `${-position} steps before`;
}

function Name({ name, none, onChoose }: { name: string | null; none: string; onChoose: (node: string) => void }) {
  if (name === null) return <span class="muted">{none}</span>;
  return <button type="button" class="link" title={visible(name)} onClick={() => onChoose(name)}><bdi>{visible(name)}</bdi></button>;
}

