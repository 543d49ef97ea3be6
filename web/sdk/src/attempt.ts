/** What `call` returns; undefined when it throws, which the page must never notice. */
export const attempt = <T>(call: () => T): T | undefined => {
  try {
    return call();
  } catch {}
};
