/** What the API says, for tests that are about the client alone. The compiler compares it with the OpenAPI document. */

import { Rolevend, type VendOptions } from "../src/index.js";
import type { HttpRequest, HttpResponse } from "../src/transport.js";
import { NoAnswer } from "../src/transport.js";
import type { AccessRequest, Credential, Missing, Offer, Problem, VendedRole } from "../src/values.js";

export const TOKEN = "agents-own-token";
export const USER_TOKEN = "header.payload.signature";
export const PASSWORD = "correct/horse:battery@staple?";
export const VEND = "POST /v1/vended-roles";
export const RELEASE = "DELETE /v1/vended-roles/finbot-0f3a";

export const CREDENTIAL: Credential = {
  username: "IMMUTA_VENDED_FINBOT_E10442_0HJ9X",
  password: PASSWORD,
  host: "db.example.org",
  port: 5432,
  dbname: "claims",
  schema: "finbot",
  sslmode: "verify-full",
  uri: "postgresql://…",
};

export function role(changes: Partial<VendedRole> = {}, credential: Partial<Credential> = {}): VendedRole {
  return {
    id: "finbot-0f3a",
    roleName: CREDENTIAL.username,
    state: "Live",
    expirationTimestamp: new Date(Date.now() + 900_000).toISOString(),
    agent: { namespace: "agents", name: "finbot" },
    user: { issuer: "https://idp.example.org", subject: "anna", handle: "E10442", proof: "Token" },
    purpose: "fraud-review",
    platforms: [{ name: "warehouse", type: "PostgreSQL", tableCount: 1, credential: { ...CREDENTIAL, ...credential } }],
    explanation: {
      tables: [
        {
          schema: "claims",
          table: "payments",
          view: "payments",
          comment: 'Payments\nof "all" claims',
          rowFilters: ["country IN (user_attr('countries'))"],
          rows: "country in (DE)",
          columns: [
            { name: "iban", type: "text", shown: "Masked", mask: "Hash", maskMeaning: "a hash" },
            { name: "amount", type: "numeric", shown: "Clear", comment: "In euros" },
            { name: "country", type: "text", shown: "Clear", values: ["AT", "DE"] },
          ],
          primaryKey: ["iban"],
          joins: [{ columns: ["person"], schema: "claims", table: "people", references: ["id"] }],
          policies: ["domain-claims/analysts"],
        },
      ],
    },
    links: { self: "/v1/vended-roles/finbot-0f3a" },
    ...changes,
  };
}

export const OFFER: Offer = {
  name: "domain-claims/fraud-ssn-clear",
  platform: "warehouse",
  display: "SSNs of open claims in clear, for fraud review",
  how: "People",
  upToSeconds: 600,
  shows: "claims.payments: iban, ssn, some rows",
  purpose: "fraud-review",
};
export const MISSING: Missing = {
  tables: [{ schema: "claims", table: "payments" }],
  offers: [OFFER],
  sentence: "table claims.payments; offer domain-claims/fraud-ssn-clear can be requested",
};

export function requested(state: AccessRequest["state"], changes: Partial<AccessRequest> = {}): HttpResponse {
  const document: Partial<AccessRequest> = {
    id: "ar-3f7k2m",
    state,
    reason: state === "Pending" ? "PeopleDecide" : "ApprovedByPeople",
    message: "one person must approve",
    offer: { name: OFFER.name, display: OFFER.display, digest: "sha256:00" } as AccessRequest["offer"],
    expirationSeconds: 600,
    ...changes,
  };
  return answer(200, document);
}

export function answer(status: number, document?: object, headers: Record<string, string> = {}): HttpResponse {
  return { status, headers, text: document === undefined ? "" : JSON.stringify(document) };
}

export function problem(status: number, code: string, changes: Partial<Problem> = {}, headers: Record<string, string> = {}): HttpResponse {
  const said = {
    type: `urn:rolevend:problem:${code}`,
    title: code,
    status,
    code,
    detail: "",
    requestId: "r-1",
    ...changes,
  } satisfies Problem;
  return answer(status, said, headers);
}

export const LOST = new NoAnswer("socket hang up", true);
export const NOT_CONNECTED = new NoAnswer("connect ECONNREFUSED", false);

type Answering = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>;

/** Answers what the test says, one answer after the other, and remembers what it was asked; a release always works. */
export class Api {
  readonly asked: HttpRequest[] = [];
  readonly slept: number[] = [];
  now = 0;
  readonly #answers: (HttpResponse | Error | Answering)[];

  constructor(...answers: (HttpResponse | Error | Answering)[]) {
    this.#answers = answers;
  }

  get lines(): string[] {
    return this.asked.map(({ method, path }) => `${method} ${path}`);
  }

  body(number = 0): unknown {
    return JSON.parse(this.asked[number]?.body ?? "null");
  }

  client(settings: Partial<ConstructorParameters<typeof Rolevend>[0]> = {}): Rolevend {
    const clock = {
      now: () => this.now,
      pause: async (seconds: number) => {
        this.slept.push(seconds);
        this.now += seconds;
      },
    };
    const send = async (request: HttpRequest) => {
      this.asked.push(request);
      const next = this.#answers.shift();
      if (next === undefined) {
        if (request.method === "DELETE") return answer(204);
        throw new Error(`the test has no answer to ${request.method} ${request.path}`);
      }
      if (next instanceof Error) throw next;
      return typeof next === "function" ? await next(request) : next;
    };
    return new Rolevend({ url: "https://rolevend.example.org", agentToken: TOKEN, ...settings }, { send, clock });
  }
}

export const WISH: VendOptions = { userToken: USER_TOKEN, platform: "warehouse" };
