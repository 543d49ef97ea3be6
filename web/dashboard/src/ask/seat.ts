// Seats: what only so many windows of one browser have at a time. Web Locks give them out; a page over
// plain http has none of these, and takes a lease in the storage that the windows share.

const LEASE_MS = 6_000;
const LOOK_MS = 1_000;

type Leave = () => void;
type Hold = (name: string, had: () => void, lost: () => void, steal: boolean) => Leave;

/**
 * Wait for one of the seats. `had` is called once it is there, `lost` when another window took it
 * away. With `steal` nobody is waited for. Call what it returns to leave, or to wait no longer.
 */
export function sit(names: readonly string[], had: () => void, lost: () => void, steal = false): Leave {
  const hold: Hold = typeof navigator.locks?.request === "function" ? lock : lease;
  const leaves = new Map<string, Leave>();
  let mine = "";
  for (const name of names) {
    const taken = () => {
      if (mine) return void leaves.get(name)?.();
      mine = name;
      for (const [other, leave] of leaves) if (other !== name) leave();
      had();
    };
    leaves.set(name, hold(name, taken, lost, steal));
  }
  return () => {
    for (const leave of leaves.values()) leave();
  };
}

const lock: Hold = (name, had, lost, steal) => {
  const abort = new AbortController();
  let left = false;
  let free: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (free = resolve));
  const how = steal ? { steal } : { signal: abort.signal };
  navigator.locks
    .request(name, how, () => {
      if (left) return undefined;
      had();
      return held;
    })
    .catch(() => !left && lost());
  return () => {
    left = true;
    abort.abort();
    free();
  };
};

/** Written, and the window's own when it still stands there at the next look: of two that write at once, one finds the other's. */
const lease: Hold = (name, had, lost, steal) => {
  const me = `${Math.random()}`.slice(2);
  let mine = false;
  let written = false;
  const look = () => {
    const [who, until] = read(name);
    const now = Date.now();
    if (mine && who !== me && until > now) {
      mine = false;
      written = false;
      return lost();
    }
    if (who && who !== me && until > now && until <= now + LEASE_MS && !(steal && !written)) return;
    const sure = written && who === me;
    written = true;
    if (!write(name, `${me} ${now + LEASE_MS}`) || sure) {
      if (!mine) {
        mine = true;
        had();
      }
    }
  };
  const timer = window.setInterval(look, LOOK_MS);
  const soon = window.setTimeout(look, 0);
  return () => {
    clearInterval(timer);
    clearTimeout(soon);
    if (read(name)[0] === me) write(name, "");
  };
};

function read(name: string): [who: string, until: number] {
  try {
    const [who = "", until = ""] = (localStorage.getItem(name) ?? "").split(" ");
    return [who, Number(until) || 0];
  } catch {
    return ["", 0];
  }
}

/** False where there is no storage: there, every window is alone. */
function write(name: string, text: string): boolean {
  try {
    if (text) localStorage.setItem(name, text);
    else localStorage.removeItem(name);
    return true;
  } catch {
    return false;
  }
}
