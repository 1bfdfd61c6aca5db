/** One HTTP request over node:http or node:https, which can verify the server by an authority of its own. No redirect is followed. */

import http from "node:http";
import https from "node:https";

/** The bytes of the longest answer. */
const LARGEST = 64 * 2 ** 20;

export interface HttpRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
  seconds: number;
  signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  text: string;
}

export type Send = (request: HttpRequest) => Promise<HttpResponse>;

/** No answer came. */
export class NoAnswer extends Error {
  /** True if the server may have read the request. */
  readonly mayHaveArrived: boolean;

  constructor(message: string, mayHaveArrived: boolean, options?: ErrorOptions) {
    super(message, options);
    this.mayHaveArrived = mayHaveArrived;
  }
}

/**
 * Return a function that sends to this url. Connections are kept, and do not keep the process alive. `ca` is PEM; without it: the system's.
 * The certificate is verified also where NODE_TLS_REJECT_UNAUTHORIZED says otherwise.
 */
export function transport(url: URL, ca?: string): Send {
  const secure = url.protocol === "https:";
  const agent = secure
    ? new https.Agent({ keepAlive: true, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) })
    : new http.Agent({ keepAlive: true });
  const base = url.pathname.replace(/\/$/, "");
  return ({ method, path, headers, body, seconds, signal }) =>
    new Promise<HttpResponse>((resolve, reject) => {
      let connected = false;
      const options = {
        agent,
        method,
        hostname: url.hostname.replace(/^\[|\]$/g, ""),
        port: url.port,
        path: base + path,
        headers: { ...headers, "Content-Length": Buffer.byteLength(body ?? "") },
      };
      const request = (secure ? https : http).request(options);
      const fail = (error: Error): Error => {
        reject(new NoAnswer(error.message || String(error), connected, { cause: error }));
        return error;
      };
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${Math.round(seconds * 10) / 10} s`)), seconds * 1000);
      const onAbort = () => request.destroy(new Error("the call was aborted"));
      signal?.addEventListener("abort", onAbort, { once: true });
      request.on("close", () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      });
      request.on("socket", (socket) => {
        if (!socket.connecting) connected = true;
        else
          socket.once(secure ? "secureConnect" : "connect", () => {
            connected = true;
          });
      });
      request.on("error", fail);
      request.on("response", (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on("data", (part: Buffer) => {
          size += part.length;
          if (size <= LARGEST) parts.push(part);
          else request.destroy(fail(new Error(`the answer is larger than ${LARGEST / 2 ** 20} MiB`)));
        });
        response.on("error", fail);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: plain(response.headers), text: Buffer.concat(parts).toString("utf8") }),
        );
      });
      if (signal?.aborted) onAbort();
      else request.end(body);
    });
}

function plain(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
