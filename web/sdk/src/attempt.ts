/** Run `call`; what it throws is ours and not the page's. */
export function attempt(call: () => void): void {
  try {
    call();
  } catch {
    // The page must never notice that it is watched.
  }
}
