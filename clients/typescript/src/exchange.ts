/** The exchange of a person's token for one that rolevend accepts, at the identity provider (RFC 8693). */

import { Misconfigured, Refused, Unavailable } from "./errors.js";
import { type HttpResponse, NoAnswer, type Send, transport } from "./transport.js";
import { currentToken, onThisMachine, type TokenSource } from "./values.js";

const SECONDS = 30;
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

export interface ExchangeSettings {
  /** The url of the identity provider, as it calls itself. */
  issuer: string;
  clientId: string;
  clientSecret: TokenSource;
  /** The audience of rolevend's tokens: `spec.audience` of the IdentityProvider. */
  audience: string;
  /** The authority of the provider's certificate, in PEM. Without it: those of Node.js. */
  ca?: string;
}

export class TokenExchange {
  readonly #settings: ExchangeSettings;
  readonly #sends = new Map<string, Send>();
  #endpoint: Promise<URL> | undefined;

  constructor(settings: ExchangeSettings) {
    const { protocol, hostname } = new URL(settings.issuer);
    if (protocol !== "https:" && !onThisMachine(hostname))
      throw new Misconfigured("the url of the identity provider must begin with https:");
    this.#settings = settings;
  }

  /** Return a source of tokens for `userToken`: each is another one, because a token proves one role. */
  tokensFor(person: TokenSource): () => Promise<string> {
    return async () => await this.exchange(await currentToken(person));
  }

  /** Return a token of the same person for rolevend that names this client as the actor. Throws `Refused` if the provider refuses. */
  async exchange(subjectToken: string): Promise<string> {
    this.#endpoint ??= this.#discover().catch((error) => {
      this.#endpoint = undefined;
      throw error;
    });
    const form = new URLSearchParams({
      grant_type: EXCHANGE,
      subject_token: subjectToken,
      subject_token_type: ACCESS_TOKEN,
      requested_token_type: ACCESS_TOKEN,
      audience: this.#settings.audience,
    });
    const secret = (await currentToken(this.#settings.clientSecret)).trim();
    const login = Buffer.from(`${encoded(this.#settings.clientId)}:${encoded(secret)}`).toString("base64");
    const headers = { Authorization: `Basic ${login}`, "Content-Type": "application/x-www-form-urlencoded" };
    const response = await this.#send(await this.#endpoint, "POST", headers, form.toString());
    const given = members(response);
    if (response.status >= 400) throw new Refused(`the identity provider gives no token for rolevend: ${errorCode(given)}`);
    const token = given.access_token;
    if (typeof token !== "string" || token === subjectToken)
      throw new Misconfigured("the identity provider answers with no token of its own");
    if (personOf(token) !== personOf(subjectToken)) throw new Misconfigured("the identity provider answers with a token of another person");
    return token;
  }

  async #discover(): Promise<URL> {
    const { issuer } = this.#settings;
    const response = await this.#send(new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`), "GET", {});
    if (response.status !== 200) throw new Unavailable(`the identity provider answers with the status ${response.status}`);
    const document = members(response);
    if (document.issuer !== issuer) throw new Misconfigured(`the identity provider at ${issuer} calls itself another name; use that one`);
    const endpoint = URL.canParse(String(document.token_endpoint)) ? new URL(String(document.token_endpoint)) : undefined;
    if (endpoint === undefined || (endpoint.protocol !== "https:" && endpoint.origin !== new URL(issuer).origin)) {
      throw new Misconfigured(`the identity provider at ${issuer} names no token endpoint that can be called`);
    }
    return endpoint;
  }

  async #send(url: URL, method: string, headers: Record<string, string>, body?: string): Promise<HttpResponse> {
    const send = this.#sends.get(url.origin) ?? transport(new URL(url.origin), this.#settings.ca);
    this.#sends.set(url.origin, send); // it keeps connections
    try {
      const response = await send({
        method,
        path: url.pathname + url.search,
        headers,
        ...(body === undefined ? {} : { body }),
        seconds: SECONDS,
      });
      if (response.status >= 500 || (response.status >= 300 && response.status < 400))
        throw new Unavailable(`the identity provider answers with the status ${response.status}`);
      return response;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      throw new Unavailable(`the identity provider does not answer: ${error.message}`, undefined, undefined, { cause: error });
    }
  }
}

/** Return the person whom a token names, without verifying the token. */
function personOf(token: string): string {
  try {
    const { iss, sub } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    if (typeof iss === "string" && typeof sub === "string") return JSON.stringify([iss, sub]);
  } catch {
    // below
  }
  throw new Refused("the person's token cannot be read");
}

function members(response: HttpResponse): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(response.text);
    if (typeof document === "object" && document !== null) return document as Record<string, unknown>;
  } catch {
    // below
  }
  throw new Unavailable("the identity provider answers with something that is no JSON object");
}

/** Return the error code if it has the form of RFC 6749. */
function errorCode({ error }: Record<string, unknown>): string {
  return typeof error === "string" && /^\w{1,50}$/.test(error) ? error : "no reason given";
}

/** Return the text as RFC 6749 (2.3.1) puts it into HTTP Basic. */
function encoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}
