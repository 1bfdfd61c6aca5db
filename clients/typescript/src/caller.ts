/** Calls of the API: send one, send it again where that can help, and turn an answer that is no success into an error. */

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import {
  Conflict,
  Denied,
  InvalidInput,
  Misconfigured,
  type NeededLogin,
  NotFound,
  Refused,
  type RolevendError,
  TooManyRequests,
  Unavailable,
  Unexpected,
} from "./errors.js";
import { type HttpResponse, NoAnswer, type Send, transport } from "./transport.js";
import { currentToken, onThisMachine, type Problem, type TokenSource } from "./values.js";

export interface Settings {
  /** The url of the API. It must begin with `https:`, except on this machine. */
  url: string;
  /** The agent's own token. A function is called before each try, because tokens rotate. */
  agentToken?: TokenSource;
  /** The file of the agent's own token, read before each try. */
  agentTokenFile?: string;
  /** The authority of the API's certificate, in PEM. Without it: those of Node.js. */
  ca?: string;
  /** Seconds for a call with all its tries. Default: 30. */
  patienceSeconds?: number;
  /** True to allow tokens and passwords without TLS to another machine, e.g. in a service mesh that encrypts. */
  inTheClear?: boolean;
  /** True to release all open roles on SIGTERM and SIGINT. Then the process ends by the signal, unless the program listens for it, too. */
  releaseOnSignals?: boolean;
}

export interface Call {
  /** The attempt, for error messages: "cannot …". */
  doing: string;
  method: string;
  path: string;
  body?: object;
  headers?: Record<string, string>;
}

export interface CallOptions {
  patienceSeconds?: number | undefined;
  signal?: AbortSignal | undefined;
  trace?: Trace | undefined;
}

/** Records if a call that failed may have had its effect. */
export class Trace {
  mayBeDone = false;

  /** A refusal with a code is the API's last word; a proxy knows nothing of it. */
  record(outcome: HttpResponse | NoAnswer, failure?: RolevendError): void {
    if (outcome instanceof NoAnswer) this.mayBeDone ||= outcome.mayHaveArrived;
    else if (failure === undefined || (outcome.status >= 500 && (failure.code === "" || failure instanceof Unexpected)))
      this.mayBeDone = true;
    else if (failure.code !== "" && !(failure instanceof Unavailable)) this.mayBeDone = false;
  }
}

/** What tests replace. */
export interface Clock {
  now(): number;
  pause(seconds: number, signal?: AbortSignal): Promise<void>;
}

const CLOCK: Clock = {
  now: () => performance.now() / 1000,
  pause: (seconds, signal) => pause(seconds * 1000, undefined, signal === undefined ? {} : { signal }),
};
const TRY_AGAIN = new Set([429, 502, 503, 504]);
const FIRST_PAUSE = 0.1;
const LONGEST_PAUSE = 5;
const SHORTEST_TRY = 0.05;
/** The members of a problem that are texts. */
const TEXTS = ["type", "code", "title", "detail", "field", "requestId"];
/** The code with which a repeated vend is refused while the role of an earlier try is being dropped. After that it can succeed. */
const ENDED = "Ended";

export class Caller {
  readonly patienceSeconds: number;
  readonly url: URL;
  readonly ca: string | undefined;
  readonly #token: TokenSource;
  readonly #tokenFile: string | undefined;
  readonly #send: Send;
  readonly #clock: Clock;
  #lastToken = "";

  constructor(settings: Settings, send?: Send, clock: Clock = CLOCK) {
    this.url = apiUrl(settings);
    this.ca = settings.ca;
    this.patienceSeconds = settings.patienceSeconds ?? 30;
    const { agentToken, agentTokenFile } = settings;
    if ((agentToken === undefined) === (agentTokenFile === undefined)) throw new Misconfigured("give agentToken or agentTokenFile");
    this.#tokenFile = agentTokenFile;
    this.#token = agentToken ?? (() => tokenIn(agentTokenFile as string));
    this.#send = send ?? transport(this.url, this.ca);
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Throws the reason of the signal if it is aborted. */
  async pause(seconds: number, signal?: AbortSignal): Promise<void> {
    try {
      await this.#clock.pause(seconds, signal);
    } finally {
      signal?.throwIfAborted();
    }
  }

  /** Return a token without waiting: of the file, or the one of the last call. */
  tokenNow(): string {
    return this.#tokenFile === undefined ? this.#lastToken : validToken(tokenIn(this.#tokenFile));
  }

  /** Return the answer, which is a success. Throws the error of the last try, or the reason of the signal. */
  async call(call: Call, { patienceSeconds, signal, trace }: CallOptions = {}): Promise<HttpResponse> {
    const ends = this.now() + (patienceSeconds ?? this.patienceSeconds);
    const headers = { Accept: "application/json", "X-Request-Id": randomBytes(16).toString("hex"), ...call.headers };
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      const outcome = await this.#try(call, headers, Math.max(ends - this.now(), SHORTEST_TRY), signal);
      const failure = failureOf(call, outcome);
      trace?.record(outcome, failure);
      if (failure === undefined) return outcome as HttpResponse;
      signal?.throwIfAborted();
      if (!(failure instanceof Unavailable || (tries > 0 && failure.code === ENDED))) throw failure;
      const said = failure instanceof Unavailable ? (failure.retryAfter ?? 0) : 0;
      const wait = Math.max(said, Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE) * (0.5 + Math.random() / 2));
      if (this.now() + wait >= ends || isHopeless(outcome)) throw failure;
      await this.pause(wait, signal);
    }
  }

  /** Return the document of the answer. Throws `Unexpected` if it is no JSON object with these members. */
  async document<Answer extends object>(
    call: Call,
    required: readonly (keyof Answer & string)[],
    options: CallOptions = {},
  ): Promise<Answer> {
    return read<Answer>(call, await this.call(call, options), required);
  }

  async #try(call: Call, headers: Record<string, string>, seconds: number, signal?: AbortSignal): Promise<HttpResponse | NoAnswer> {
    this.#lastToken = validToken(await currentToken(this.#token));
    signal?.throwIfAborted();
    const authorization = { Authorization: `Bearer ${this.#lastToken}` };
    const content = call.body === undefined ? {} : { "Content-Type": "application/json" };
    const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) };
    const request = {
      method: call.method,
      path: call.path,
      headers: { ...headers, ...content, ...authorization },
      ...body,
      seconds,
      signal,
    };
    try {
      return await this.#send(request);
    } catch (error) {
      if (error instanceof NoAnswer) return error;
      throw error;
    }
  }
}

function failureOf(call: Call, outcome: HttpResponse | NoAnswer): RolevendError | undefined {
  if (outcome instanceof NoAnswer) return unanswered(call, outcome);
  return outcome.status >= 200 && outcome.status < 300 ? undefined : errorOf(call, outcome);
}

function read<Answer extends object>(call: Call, response: HttpResponse, required: readonly (keyof Answer & string)[]): Answer {
  const document = parsed(response.text);
  const absent = document === undefined ? undefined : required.find((name) => document[name] === undefined || document[name] === null);
  if (document === undefined || absent !== undefined) {
    const reason = absent === undefined ? "it is no JSON object" : `it has no ${absent}`;
    throw new Unexpected(`cannot ${call.doing}: this version does not understand the answer: ${reason}`);
  }
  return document as Answer;
}

/** Return the error for an answer that is not a success. Tolerates any body: a proxy may answer instead of the API. */
function errorOf(call: Call, response: HttpResponse): RolevendError {
  const document = parsed(response.text) ?? {};
  const readable = Object.entries(document).filter(([name, value]) => !TEXTS.includes(name) || typeof value === "string");
  const missing = typeof document.missing === "object" ? document.missing : undefined;
  const requestId = response.headers["x-request-id"];
  const problem = {
    ...(requestId === undefined ? {} : { requestId }),
    ...Object.fromEntries(readable),
    missing,
    status: response.status,
  } as Partial<Problem>;
  const said = [problem.code, problem.detail || problem.title].filter(Boolean).join(": ") || `the answer has the status ${response.status}`;
  const by = problem.requestId ? ` (request ${problem.requestId})` : "";
  const message = oneLine(`cannot ${call.doing}: ${said}${by}`);
  if (TRY_AGAIN.has(response.status)) {
    const kind = response.status === 429 ? TooManyRequests : Unavailable;
    return new kind(message, problem, retryAfter(response.headers));
  }
  switch (response.status) {
    case 401:
      return new Refused(message, problem, neededLogin(response.headers["www-authenticate"] ?? ""));
    case 403:
      return new Denied(message, problem);
    case 404:
      return new NotFound(message, problem);
    case 409:
      return new Conflict(message, problem);
    case 413:
    case 422:
      return new InvalidInput(message, problem);
    default:
      return new Unexpected(message, problem);
  }
}

function unanswered(call: Call, error: NoAnswer): Unavailable {
  return new Unavailable(oneLine(`cannot ${call.doing}: no answer: ${error.message}`), undefined, undefined, { cause: error });
}

/** Return true if another try cannot succeed: the certificate is not trusted, or the server speaks no TLS. */
function isHopeless(outcome: HttpResponse | NoAnswer): boolean {
  if (!(outcome instanceof NoAnswer)) return false;
  const code = String((outcome.cause as NodeJS.ErrnoException | undefined)?.code ?? "");
  return /CERT|SIGNED|SELF_SIGNED|UNABLE_TO|ERR_SSL|ERR_TLS/.test(code);
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const document: unknown = JSON.parse(text);
    return typeof document === "object" && document !== null && !Array.isArray(document)
      ? (document as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Return Retry-After in seconds. A date is compared with the server's own Date, so the local clock may be wrong. */
function retryAfter(headers: Record<string, string>): number | undefined {
  const said = (headers["retry-after"] ?? "").trim();
  if (/^\d+$/.test(said)) return Number(said);
  const seconds = (Date.parse(said) - Date.parse(headers.date ?? "")) / 1000;
  return Number.isFinite(seconds) ? Math.max(seconds, 0) : undefined;
}

/** Return the login that a challenge of RFC 9470 asks for; undefined: it asks for none. */
function neededLogin(challenge: string): NeededLogin | undefined {
  const said = new Map(
    [...challenge.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value?.replace(/\\(.)/g, "$1")]),
  );
  if (said.get("error") !== "insufficient_user_authentication") return undefined;
  const age = said.get("max_age") ?? "";
  const acrValues = (said.get("acr_values") ?? "").split(" ").filter(Boolean);
  return /^\d+$/.test(age) ? { acrValues, longestAgeSeconds: Number(age) } : { acrValues };
}

function oneLine(text: string): string {
  return text.split(/\s+/).join(" ").trim();
}

function apiUrl({ url, inTheClear }: Settings): URL {
  let parts: URL;
  try {
    parts = new URL(url);
  } catch {
    throw new Misconfigured("the url of the API must be like https://rolevend.example.org");
  }
  if (!["https:", "http:"].includes(parts.protocol))
    throw new Misconfigured("the url of the API must be like https://rolevend.example.org");
  if (parts.username || parts.password || parts.search || parts.hash) {
    throw new Misconfigured("the url of the API must hold no user, query or fragment");
  }
  if (parts.protocol === "http:" && !inTheClear && !onThisMachine(parts.hostname)) {
    throw new Misconfigured(
      `the url of the API at ${parts.hostname} begins with http:, where others could read tokens and passwords; use https:, ` +
        "or inTheClear: true where something else encrypts",
    );
  }
  return parts;
}

function tokenIn(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Misconfigured(`cannot read the agent's own token in ${file}: ${code}; mount it there, or name another file`);
  }
}

function validToken(text: string): string {
  const token = text.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Misconfigured("the agent's own token is empty or malformed");
  return token;
}
