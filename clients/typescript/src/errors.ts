/**
 * The errors. The class says whether to try again. Calls that are safe to repeat were repeated until `patienceSeconds` was over.
 *
 *     RolevendError
 *     ├── Misconfigured        on this side: an option, the environment, the token file
 *     ├── Rejected             the API refused the call, and will refuse it again
 *     │   ├── Refused          401: the agent's or the user's token is not valid, `code` says why; or `neededLogin` says which login suffices
 *     │   ├── Denied           403: no policy grants it; `missing` is the smallest piece that would, and the offers to request
 *     │   ├── NotFound         404: no such role or request, or another agent's
 *     │   ├── Conflict         409: the role has ended, or its idempotency key was used for something else
 *     │   └── InvalidInput     422, 413: `field` names the invalid member
 *     ├── Unavailable          try again later; `retryAfter` says when, where the API does
 *     │   └── TooManyRequests  429
 *     ├── RoleEnded            the role of a statement has ended; `reason` and `at` say why and when
 *     └── Unexpected           an answer that this version does not understand
 *
 * Messages are one line, begin in lower case, say what was attempted, and never hold a token or a password.
 */

import type { Missing, Problem } from "./values.js";

/** The login that the user needs instead (RFC 9470). */
export interface NeededLogin {
  /** One of these authentication contexts; empty: any. */
  acrValues: string[];
  /** The login must not be older; undefined: any age. */
  longestAgeSeconds?: number;
}

export class RolevendError extends Error {
  /** The problem document (RFC 9457) of the answer. */
  readonly problem: Partial<Problem> | undefined;

  constructor(message: string, problem?: Partial<Problem>, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.problem = problem;
  }

  /** The stable code of the problem; empty if there was no problem document. */
  get code(): string {
    return this.problem?.code ?? "";
  }

  /** The explanation of the API, or else the message of this error. */
  get detail(): string {
    return this.problem?.detail || this.problem?.title || this.message;
  }

  /** The id of this call in the API's logs and audit events. */
  get requestId(): string {
    return this.problem?.requestId ?? "";
  }
}

export class Misconfigured extends RolevendError {}

export class Rejected extends RolevendError {}

export class Refused extends Rejected {
  /** The login that suffices: get a token of such a login, and call again. Undefined: the token itself is not valid. */
  readonly neededLogin: NeededLogin | undefined;

  constructor(message: string, problem?: Partial<Problem>, neededLogin?: NeededLogin) {
    super(message, problem);
    this.neededLogin = neededLogin;
  }
}

export class Denied extends Rejected {
  /** The grant that is missing, and the offers that can be requested. Undefined if the caller may not know it. */
  get missing(): Missing | undefined {
    return this.problem?.missing ?? undefined;
  }
}

export class NotFound extends Rejected {}

export class Conflict extends Rejected {}

export class InvalidInput extends Rejected {
  /** The invalid member of the request. */
  get field(): string {
    return this.problem?.field ?? "";
  }
}

export class Unavailable extends RolevendError {
  /** Seconds; undefined if the API named no time. */
  readonly retryAfter: number | undefined;

  constructor(message: string, problem?: Partial<Problem>, retryAfter?: number, options?: ErrorOptions) {
    super(message, problem, options);
    this.retryAfter = retryAfter;
  }
}

export class TooManyRequests extends Unavailable {}

export class Unexpected extends RolevendError {}

/** Why a role ended: at its expiry, by this program, or before its expiry, such as by a revocation or a change of policy. */
export type EndReason = "Expired" | "Released" | "Revoked";

export class RoleEnded extends RolevendError {
  readonly reason: EndReason;
  /** The expiry, or the time at which the end was noticed. */
  readonly at: Date;

  constructor(message: string, reason: EndReason, at: Date, options?: ErrorOptions) {
    super(message, undefined, options);
    this.reason = reason;
    this.at = at;
  }
}
