// The frame of every page: who is there, where one is, and the page itself, loaded when it is needed.

import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { hearChanges } from "../ask/changes";
import { keepKey } from "../ask/key";
import { Person, partnerOf } from "../ask/person";
import { type Me, NOBODY } from "../login/account";
import { useEntrance } from "../login/entrance";
import { LoginForm } from "../login/forms";
import { KeyForm } from "../login/keyform";
import { Who } from "../login/who";
import { Connection, Spans, ThemeMenu } from "./bar";
import { Find, Keys } from "./find";
import { Nav } from "./nav";
import { PAGES, PARTNERS_PAGES, type Page, pageOf } from "./pages";
import { followLinks, href, usePlace } from "./place";
import { useRange } from "./range";
import { useShortcuts } from "./shortcuts";
import { Views } from "./views";

export function App({ refused }: { refused: string }) {
  const { me, entries, away, again } = useEntrance();
  useEffect(followLinks, []);
  if (me === null) return <Frame me={NOBODY} pages={PAGES} onOut={again} waiting={away ? "The server does not answer: trying again." : "Loading…"} />;
  if (me.who === "nobody") return <Entry me={me} refused={refused} onIn={again} />;
  const partner = partnerOf(me) !== "";
  hearChanges(!partner); // while drawing: what is drawn below asks before effects of this run
  return (
    <Person.Provider value={me}>
      <Frame key={entries} me={me} pages={partner ? PARTNERS_PAGES : PAGES} onOut={again} />
    </Person.Provider>
  );
}

function Entry({ me, refused, onIn }: { me: Me; refused: string; onIn: () => void }) {
  const [tried, setTried] = useState(false);
  return (
    <>
      <header class="bar"><h1 class="brand"><Mark />Lakeward</h1><ThemeMenu /></header>
      <main class="page">
        <div class="ways">
          <LoginForm oidc={me.oidc === true} refused={refused} onIn={() => { keepKey(""); onIn(); }} />
          <KeyForm message="That key was refused." tried={tried} onKey={(key) => { keepKey(key); setTried(true); onIn(); }} />
        </div>
      </main>
    </>
  );
}

interface FrameProps {
  me: Me;
  pages: readonly Page[];
  onOut: () => void;
  /** What is said instead of the page. */
  waiting?: string;
}

function Frame({ me, pages, onOut, waiting = "" }: FrameProps) {
  const { page: name } = usePlace();
  const here = (name ? pageOf(name) : undefined) ?? (name ? undefined : pages[0]);
  const page = here && pages.includes(here) ? here : undefined;
  const range = useRange();
  const [nav, setNav] = useState(false);
  const [over, setOver] = useState<"" | "keys" | "find">("");
  useShortcuts(pages, setOver);
  // A dialog hears late that it was closed, when a key may have opened the other one.
  const close = (which: "keys" | "find") => setOver((shown) => (shown === which ? "" : shown));
  useEffect(() => {
    document.title = `${page?.title ?? "Nothing here"} · Lakeward`;
    setNav(false);
  }, [page]);
  const alone = pages.length === 1;
  return (
    <div class={alone ? "frame alone" : "frame"}>
      <a class="skip" href="#main">Skip to the page</a>
      <header class="bar">
        {!alone && (
          <button type="button" class="icon burger" aria-label="Pages" aria-expanded={nav} aria-controls="nav" onClick={() => setNav(!nav)}>
            <svg class="glyph line" viewBox="0 0 16 16" aria-hidden="true"><path d="M2 4h12M2 8h12M2 12h12" /></svg>
          </button>
        )}
        <a class="brand" href={href("")} aria-label="Lakeward"><Mark /><span>Lakeward</span></a>
        <h1>{page?.title ?? "Nothing here"}</h1>
        <Connection />
        <span class="space" />
        {page?.ranged && <Spans range={range} compared={page.compared === true} />}
        {page && !alone && !waiting && <Views page={page.name} />}
        <button type="button" class="icon" aria-label="Go to a page (Ctrl K)" title="Go to a page (Ctrl K)" onClick={() => setOver("find")}>
          <svg class="glyph line" viewBox="0 0 16 16" aria-hidden="true"><path d="M7 11.500a4.500 4.500 0 100-9 4.500 4.500 0 000 9zM10.500 10.500L14 14" /></svg>
        </button>
        <ThemeMenu />
        <Who me={me} onOut={onOut} />
      </header>
      {!alone && <Nav pages={pages} here={page?.name ?? ""} open={nav} onClose={() => setNav(false)} />}
      <main class="page" id="main" tabindex={-1} data-page={page?.name}>
        {waiting ? <Waiting said={waiting} /> : page ? <Shown key={page.name} page={page} /> : <Missing partner={alone} />}
      </main>
      {over === "find" && <Find pages={pages} onClose={() => close("find")} />}
      {over === "keys" && <Keys pages={pages} onClose={() => close("keys")} />}
    </div>
  );
}

function Waiting({ said = "Loading…" }: { said?: string }) {
  const loads = said === "Loading…";
  return <div class="waiting" role="status"><span class={loads ? "sr" : "note"}>{said}</span></div>;
}

function Missing({ partner }: { partner: boolean }) {
  return (
    <section class="card centre">
      <h2>There is no such page</h2>
      <p class="muted">{partner ? "Or it is not for partners." : "The address may be an old one."}</p>
      <a class="button strong" href={href("")}>Go to the start</a>
    </section>
  );
}

/** The page, once its chunk is there; what fails in it leaves the frame standing. */
function Shown({ page }: { page: Page }) {
  const [Found, setFound] = useState<{ Page: ComponentType } | null>(null);
  const [failed, setFailed] = useState(false);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let left = false;
    setFailed(false);
    page.load().then(
      (loaded) => !left && setFound({ Page: loaded.default }),
      () => !left && setFailed(true),
    );
    return () => void (left = true);
  }, [page, tries]);
  useEffect(() => {
    if (Found && location.hash.length > 1) requestAnimationFrame(() => document.getElementById(location.hash.slice(1))?.scrollIntoView());
  }, [Found]);
  const reload = useMemo(() => () => setTries((n) => n + 1), []);
  if (failed) {
    return (
      <section class="card centre" role="alert">
        <h2>The page could not be loaded</h2>
        <p>The server does not answer, or was updated in between.</p>
        <p><button type="button" class="button" onClick={reload}>Try again</button> <button type="button" class="button strong" onClick={() => location.reload()}>Load everything anew</button></p>
      </section>
    );
  }
  if (!Found) return <Waiting />;
  return <Fence><Found.Page /></Fence>;
}

class Fence extends Component<{ children: ComponentChildren }, { broken: boolean }> {
  override state = { broken: false };

  static override getDerivedStateFromError() {
    return { broken: true };
  }

  render() {
    if (!this.state.broken) return this.props.children;
    return (
      <section class="card centre" role="alert">
        <h2>This page stumbled</h2>
        <p>The others go on; nothing of the lake has changed.</p>
        <button type="button" class="button strong" onClick={() => this.setState({ broken: false })}>Try again</button>
      </section>
    );
  }
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M5 12c3.7-3.6 7.3-3.6 11 0s7.3 3.6 11 0M5 20c3.7-3.6 7.3-3.6 11 0s7.3 3.6 11 0" />
    </svg>
  );
}
