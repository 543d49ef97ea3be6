/** The running SDK: events get their ids, times, person and place, and go into the outbox. */

import { attempt } from "./attempt.ts";
import { idOf, traceOf } from "./ids.ts";
import type { Automatic, Consent, Fields, Options } from "./options.ts";
import { BUNDLE, outbox } from "./outbox.ts";
import { CHOICE, FULL, NONE, permission } from "./permission.ts";
import { person } from "./person.ts";
import { PREFIX } from "./shelf.ts";
import { views, type View } from "./views.ts";
import { wire } from "./wire.ts";
import { cleaned } from "./words.ts";

const LARGEST = 28e3; // bytes; the server takes 32 KiB with what it adds

/** What watches the page; it is told what it may use. */
export type Watcher = (page: Page) => void;
export type Watchers = Partial<Record<Automatic, Watcher>>;

/** The running SDK, as watchers see it. */
export interface Page {
  emit(type: string, fields?: Fields): void;
  /** The same, and it is the cause of what follows on the page. */
  cause(type: string, fields?: Fields): void;
  /** What is in view. */
  view(): View;
  /** Listen where nothing can be broken, and no scrolling has to wait. */
  on<E extends Event>(types: string, heard: (event: E) => unknown): void;
  /** Be told when the page is hidden, and when a view is over. */
  ends(told: (over: boolean) => void): void;
  clean(address: string): string | undefined;
  /** What joins a request of the page to its cause; nothing without consent. */
  headers(): Record<string, string>;
}

export interface Running extends Page {
  /** Another view begins. */
  turn(navigation?: string, properties?: Fields): void;
  identify(user: string, traits?: Fields, type?: string): void;
  reset(): void;
  choose(mode: unknown): void;
  mode(): Consent;
}

export function run(
  options: Options,
  watchers: Watchers,
  navigation: string,
): Running {
  const may = permission(options.consent, options.signal);
  const keeps = (): boolean => may.level() == FULL;
  const who = person(keeps);
  const host = (options.host || location.origin).replace(/\/*$/, "/");
  const address = host + (options.path || "v1/interactions").replace(/^\/+/, "");
  const out = outbox(wire(address, options.key, options.debug), keeps);
  const told: ((over: boolean) => void)[] = [];
  const clean = (text: string): string | undefined => cleaned(text, options.query);
  const off = options.off || [];
  const silent = off.includes("pages");
  let cause = "";
  let session: string | undefined;
  let named: [string, Fields?, string?] | undefined; // who was named before it was permitted

  /** Record; `own`: it begins a trace, and is no effect of what went before. */
  const record = (
    type: string,
    fields: Fields = {},
    own?: boolean,
    now = Date.now(),
    id = idOf(now),
    view = shown.now(),
  ): void => {
    if (may.level() == NONE) return;
    if (own && type != "page_view") cause = id;
    const is = who.at(now);
    session = is.session_id;
    const event = {
      interaction_type: type,
      interaction_id: id,
      timestamp: new Date(now).toISOString(),
      ...is,
      ...view.place,
      trace_id: traceOf(own ? id : cause),
      parent_interaction_id: own ? undefined : cause,
      ...fields,
    };
    out.put(fitting(event));
  };
  const shown = views(
    clean,
    (view, fields, now) =>
      record("page_view", { view_id: view.id, ...fields }, true, now, view.id, view),
    (view) => (cause = view.id),
  );
  const on: Page["on"] = (types, heard) =>
    types.split(" ").forEach((type) =>
      addEventListener(type, (event) => attempt(() => heard(event as never)), {
        capture: true,
        passive: true,
      }),
    );
  const end = (over: boolean): void => {
    shown.settle();
    told.forEach((tell) => attempt(() => tell(over)));
  };
  const turn = (navigation?: string, properties?: Fields): void => {
    end(true);
    shown.open(navigation, properties && { properties });
  };
  const hide = (over: boolean): void => {
    end(over);
    out.hide();
  };
  const identify: Running["identify"] = (user, traits, type) => {
    named = [user, traits, type];
    if (!keeps()) return;
    who.is(user, type);
    record("identify", { traits });
  };

  const page: Running = {
    emit: (type, fields) => record(type, fields),
    cause: (type, fields) => record(type, fields, true),
    view: shown.now,
    on,
    ends: (tell) => told.push(tell),
    clean,
    headers: () =>
      may.level() == NONE
        ? {}
        : {
            traceparent: `00-${traceOf(cause)}-${traceOf(cause).slice(16)}-01`,
            tracestate: "lakeward=" + cause,
            "x-session-id": session!,
          },
    turn,
    identify,
    reset() {
      named = undefined;
      who.forget();
    },
    mode: may.mode,
    choose(mode) {
      const before = may.level();
      if (before == NONE) end(true); // what was noted until now is not told
      may.choose(mode);
      const level = may.level();
      if (level < before) who.forget();
      if (level == NONE) out.empty();
      else if (before == NONE) arrive(navigation);
      if (keeps() && before < FULL && named) identify(...named);
    },
  };

  const arrive = (how: string): void => shown.open(how, undefined, silent);
  arrive(navigation);
  for (const [name, watch] of Object.entries(watchers)) {
    if (!off.includes(name as Automatic)) attempt(() => watch(page));
  }
  if (!silent) follow(on, () => shown.moved() && turn("spa"));
  on("pagehide", () => hide(true));
  on("visibilitychange", () => document.hidden && hide(false));
  on("pageshow", ({ persisted }: PageTransitionEvent) => {
    if (!persisted) return;
    arrive("back_forward");
    out.wake();
  });
  on("online", out.wake);
  on("storage", ({ key, newValue }: StorageEvent) => {
    if (!newValue) return;
    if (key == PREFIX + CHOICE) page.choose(newValue);
    if (key!.startsWith(PREFIX + BUNDLE)) out.wake();
  });
  out.wake();
  return page;
}

/** Hear of every move inside a single-page app. */
function follow(on: Page["on"], moved: () => void): void {
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = function (...args) {
      original.apply(this, args);
      attempt(moved);
    };
  }
  on("popstate", moved);
}

/** An event as JSON that the server takes: long texts are cut when it is too large as a whole. */
function fitting(event: Fields): string {
  let text = JSON.stringify(event);
  for (let most = 4096; text.length > LARGEST / 3 && most > 60; most /= 4) {
    if (new Blob([text]).size < LARGEST) break;
    text = JSON.stringify(event, (_, value) =>
      typeof value == "string" ? value.slice(0, most) : value,
    );
  }
  return text;
}
