/** A request for an offer: its last known state, the wait for its decision, and its withdrawal. */

import type { Caller } from "./caller.js";
import type { AccessRequest, Offer } from "./values.js";

const REQUESTS = "/access/v1/requests";
/** Seconds that one call can wait for a decision. */
const LONGEST_WAIT = 60;
/** Seconds until the next call, after an answer that did not wait. */
const PAUSE = 1;

export interface WaitOptions {
  /** End the wait also when there is nothing to confirm any more: people may still have to decide. */
  forConfirmation?: boolean;
  signal?: AbortSignal;
}

export class AccessRequested {
  readonly #caller: Caller;
  #found: AccessRequest;

  constructor(found: AccessRequest, caller: Caller) {
    this.#found = found;
    this.#caller = caller;
  }

  static async find(id: string, caller: Caller): Promise<AccessRequested> {
    return new AccessRequested(await look(caller, id, 0), caller);
  }

  /** The request, as the API described it last. */
  get found(): AccessRequest {
    return this.#found;
  }

  /** The id, with which another process can resume: `rolevend.accessRequest(id)`. */
  get id(): string {
    return this.#found.id;
  }

  get state(): AccessRequest["state"] {
    return this.#found.state;
  }

  /** The name of the offer. */
  get offer(): Offer["name"] {
    return this.#found.offer.name;
  }

  /** True if people still have to decide. */
  get isPending(): boolean {
    return this.#found.state === "Pending";
  }

  /** True if a role can be vended with it. The vend decides again. */
  get isApproved(): boolean {
    return this.#found.state === "Approved" || this.#found.state === "Used";
  }

  /** The page on which the user confirms it. Give its url to the user, and do not open it. */
  get confirmation(): AccessRequest["confirm"] | undefined {
    return this.isPending ? (this.#found.confirm ?? undefined) : undefined;
  }

  get #waitsForUser(): boolean {
    return this.isPending && (this.#found.confirm != null || this.#found.reason === "UserConfirms");
  }

  /** Wait until it is decided, at most `seconds`, and return it. The end of the wait is no error: it is still pending then. */
  async wait(seconds = 60, { forConfirmation = false, signal }: WaitOptions = {}): Promise<this> {
    const ends = this.#caller.now() + seconds;
    while (this.isPending) {
      const left = Math.max(Math.ceil(ends - this.#caller.now()), 0);
      this.#found = await look(this.#caller, this.id, Math.min(left, LONGEST_WAIT), signal);
      if (!this.isPending || (forConfirmation && !this.#waitsForUser) || this.#caller.now() >= ends) break;
      await this.#caller.pause(Math.min(PAUSE, Math.max(ends - this.#caller.now(), 0)), signal);
    }
    return this;
  }

  /** Get its state, and return it. */
  async refresh(): Promise<this> {
    this.#found = await look(this.#caller, this.id, 0);
    return this;
  }

  /** Withdraw it. Roles that use its approval end. Idempotent. */
  async withdraw(): Promise<void> {
    await this.#caller.call({ doing: `withdraw the access request ${this.id}`, method: "DELETE", path: path(this.id) });
  }
}

/** The answer comes as soon as the request is decided, after at most `seconds`. */
async function look(caller: Caller, id: string, seconds: number, signal?: AbortSignal): Promise<AccessRequest> {
  const headers: Record<string, string> = seconds > 0 ? { Prefer: `wait=${seconds}` } : {};
  const call = { doing: `look at the access request ${id}`, method: "GET", path: path(id), headers };
  return await caller.document<AccessRequest>(call, ["id", "state", "offer"], {
    patienceSeconds: caller.patienceSeconds + seconds,
    signal,
  });
}

function path(id: string): string {
  return `${REQUESTS}/${encodeURIComponent(id)}`;
}
