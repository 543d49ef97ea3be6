/**
 * Requests of the page to its own origin carry what joins them to the view or click before them:
 *
 *     traceparent: 00-{digits of its id}-{the last sixteen}-01
 *     tracestate: lakeward={its id}
 *     x-session-id: {session}
 */

import { attempt } from "./attempt.ts";
import { cause, session } from "./events.ts";
import { traceOf } from "./ids.ts";
import { level } from "./permission.ts";

/** A request, and where it goes while it waits for our headers. */
type Asked = XMLHttpRequest & { lakeward?: string };

const TRACEPARENT = "traceparent";

/** The headers of a request to `address`; nothing where it goes elsewhere, or without consent. */
const headersFor = (address: string | URL): [string, string][] => {
  if (!level || new URL(address, document.baseURI).origin != location.origin) return [];
  const digits = traceOf(cause);
  return [
    [TRACEPARENT, `00-${digits}-${digits.slice(16)}-01`],
    ["tracestate", "lakeward=" + cause],
    ["x-session-id", session!],
  ];
};

export const trace = (): void => {
  const original = fetch;
  window.fetch = (input, init) => {
    attempt(() => {
      const request = input as Request;
      const headers = new Headers(init?.headers || request.headers);
      if (headers.has(TRACEPARENT)) return;
      const ours = headersFor(request.url || (input as string));
      ours.forEach(([name, value]) => headers.has(name) || headers.set(name, value));
      if (ours[0]) init = { ...init, headers };
    });
    return original(input, init);
  };

  const requests: Asked = XMLHttpRequest.prototype;
  const { open, setRequestHeader, send } = requests;
  requests.open = function (this: Asked, ...args: unknown[]) {
    this.lakeward = args[1] as string;
    return open.apply(this, args as never);
  };
  requests.setRequestHeader = function (this: Asked, ...args) {
    if (/^trace/i.test(args[0])) this.lakeward = ""; // the app's own
    return setRequestHeader.apply(this, args);
  };
  requests.send = function (this: Asked, ...args) {
    attempt(() => {
      const address = this.lakeward;
      if (address) headersFor(address).forEach((pair) => setRequestHeader.apply(this, pair));
    });
    return send.apply(this, args);
  };
};
