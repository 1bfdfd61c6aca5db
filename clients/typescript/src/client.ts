/** The client: vends roles for one agent, and asks for offers. */

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import { AccessRequested } from "./access.js";
import { type Call, Caller, type Clock, type Settings, Trace } from "./caller.js";
import { Misconfigured, NotFound, RolevendError } from "./errors.js";
import { addEndable, addRole, type Endable, forgetRole, hasRole, removeEndable } from "./open-roles.js";
import { Role } from "./role.js";
import { Session } from "./session.js";
import type { Send } from "./transport.js";
import {
  type AccessRequest,
  type AssertedUser,
  currentToken,
  type Decision,
  type Offer,
  type OfferRequest,
  type TableName,
  type Task,
  type TokenSource,
  tableName,
  taskMember,
  type UsablePlatform,
  type VendedRole,
  type VendRequest,
} from "./values.js";

const TOKEN_FILE = "/var/run/secrets/rolevend.dev/token";
const ROLES = "/v1/vended-roles";
/** Seconds for the release at the end of a role, and for the release of a role whose answer was lost. */
const RELEASE_SECONDS = 10;

export interface Who {
  /** The token of the person, as the identity provider issued it. It proves one role. */
  userToken?: TokenSource;
  /** A person without a token, for agents that are trusted to name one. */
  user?: AssertedUser;
}

export interface Wish extends Who {
  /** The name of a DataPlatform, or several: the role has the same name on each. */
  platform: string | readonly string[];
  /** A purpose that the DataPlatform permits the agent to state. */
  purpose?: string;
  /** The only tables of the role, each as "schema.table" or `{schema, table}`. */
  resources?: readonly (string | TableName)[];
  /** With several platforms: vend where it is possible. `role.leftOut` lists the others. */
  allowPartial?: boolean;
}

export interface VendOptions extends Wish {
  /** The lifetime of the role. */
  ttlSeconds?: number;
  task?: Task;
  /** An approved request for an offer, or its id. The role reads the tables of the offer alone. */
  approval?: AccessRequested | string;
  /** The same key and options again: the same role. */
  idempotencyKey?: string;
  /** Its abort ends the vend, and later the role. */
  signal?: AbortSignal;
}

export interface RequestOptions extends Who {
  platform: string;
  /** "namespace/name", or one of `denied.missing.offers`. */
  offer: string | Offer;
  /** The only tables and columns that are needed. */
  tables?: readonly (string | TableName)[];
  columns?: readonly string[];
  ttlSeconds?: number;
  purpose?: string;
  justification?: string;
  ticket?: string;
  task?: Task;
}

/** What tests replace. */
export interface Replacements {
  send?: Send;
  clock?: Clock;
}

export class Rolevend {
  readonly #caller: Caller;
  readonly #onSignals: boolean;

  constructor(settings: Settings, { send, clock }: Replacements = {}) {
    this.#caller = new Caller(settings, send, clock);
    this.#onSignals = settings.releaseOnSignals ?? false;
  }

  /** Read ROLEVEND_URL, ROLEVEND_TOKEN_FILE and ROLEVEND_CA_FILE. */
  static fromEnvironment(settings: Partial<Settings> = {}, environment: NodeJS.ProcessEnv = process.env): Rolevend {
    const url = environment.ROLEVEND_URL;
    if (!url) throw new Misconfigured("the environment variable ROLEVEND_URL is not set; it says where the API is");
    const file = environment.ROLEVEND_CA_FILE;
    const ca = file ? { ca: certificatesIn(file) } : {};
    const token = settings.agentToken === undefined ? { agentTokenFile: environment.ROLEVEND_TOKEN_FILE || TOKEN_FILE } : {};
    return new Rolevend({ url, ...token, ...ca, ...settings });
  }

  /**
   * Vend a role. Write `await using role = await rolevend.vend(…)`: the role is released at the end of the block.
   *
   * A release that fails throws nothing, so that it hides no other error. It is tried once more at the exit of the process, and the role
   * ends at its expiry.
   */
  async vend(options: VendOptions): Promise<Role> {
    const call: Call = {
      doing: `vend a role on ${places(options.platform).join(", ")}`,
      method: "POST",
      path: ROLES,
      body: await vendBody(options),
      headers: { "Idempotency-Key": options.idempotencyKey ?? randomBytes(16).toString("hex") },
    };
    const abort = new AbortController();
    const forward = () => abort.abort(options.signal?.reason);
    const closed = () => {
      removeEndable(endable);
      options.signal?.removeEventListener("abort", forward);
    };
    options.signal?.addEventListener("abort", forward, { once: true });
    if (options.signal?.aborted) forward();
    const vending = this.#vend(call, abort.signal, closed);
    const endable: Endable = {
      end: async () => {
        abort.abort(new RolevendError("the process was asked to end"));
        await vending.then((role) => role[Symbol.asyncDispose]()).catch(() => {});
      },
    };
    if (this.#onSignals) addEndable(endable);
    try {
      const role = await vending;
      const end = () => void role[Symbol.asyncDispose]();
      abort.signal.addEventListener("abort", end, { once: true });
      if (abort.signal.aborted) end();
      return role;
    } catch (error) {
      closed();
      throw error;
    }
  }

  /** Vend a role for `work`, release it afterwards, and return the result: for JavaScript without `await using`. */
  async withRole<Result>(options: VendOptions, work: (role: Role) => Promise<Result>): Promise<Result> {
    const role = await this.vend(options);
    try {
      return await work(role);
    } finally {
      await role[Symbol.asyncDispose]();
    }
  }

  /** Return a session: it vends a role when one is needed, and again after the role's end. `options.userToken` is called for each role. */
  session(options: VendOptions): Session {
    return new Session(this, options);
  }

  /** Return what `vend` would grant. Creates nothing; the token can still be used for a vend. */
  async decide(options: Wish): Promise<Decision> {
    const { task, expirationSeconds, ...body } = await vendBody(options);
    const doing = `ask what would be granted on ${places(options.platform).join(", ")}`;
    return await this.#caller.document<Decision>({ doing, method: "POST", path: "/v1/decisions", body }, ["granted"]);
  }

  /** Request an offer. The token can still be used for a vend. The same request is found again as long as it is open. */
  async requestAccess(options: RequestOptions): Promise<AccessRequested> {
    const offer = typeof options.offer === "string" ? options.offer : options.offer.name;
    const body = compact<Partial<OfferRequest>>({
      ...(await proof(options)),
      platform: options.platform,
      offer,
      tables: nonEmpty(options.tables?.map(tableName)),
      columns: nonEmpty(options.columns && [...options.columns]),
      expirationSeconds: options.ttlSeconds,
      purpose: options.purpose,
      justification: options.justification,
      ticket: options.ticket,
      task: taskMember(options.task),
    });
    const call = { doing: `request the offer ${offer}`, method: "POST", path: "/access/v1/requests", body };
    return new AccessRequested(await this.#caller.document<AccessRequest>(call, ["id", "state", "offer"]), this.#caller);
  }

  /** Return a request of this agent, e.g. one of an earlier process. */
  async accessRequest(id: string): Promise<AccessRequested> {
    return await AccessRequested.find(id, this.#caller);
  }

  /** Return one role of this agent. */
  async get(roleId: string): Promise<VendedRole> {
    const call = { doing: `look at the role ${roleId}`, method: "GET", path: rolePath(roleId) };
    return await this.#caller.document<VendedRole>(call, ["id", "state", "platforms"]);
  }

  /** Return the roles of this agent. */
  async list(): Promise<VendedRole[]> {
    const call = { doing: "list the roles", method: "GET", path: ROLES };
    return (await this.#caller.document<{ items: VendedRole[] }>(call, ["items"])).items;
  }

  /** Return the platforms that admit this agent. */
  async platforms(): Promise<UsablePlatform[]> {
    const call = { doing: "list the platforms", method: "GET", path: "/v1/platforms" };
    return (await this.#caller.document<{ items: UsablePlatform[] }>(call, ["items"])).items;
  }

  /** Return true if the role is known to be dropped; false: the API goes on dropping it. */
  async release(roleId: string): Promise<boolean> {
    const dropped = await this.#release(roleId);
    forgetRole(roleId);
    return dropped;
  }

  async #release(roleId: string, patienceSeconds?: number): Promise<boolean> {
    const call = { doing: `release the role ${roleId}`, method: "DELETE", path: rolePath(roleId) };
    return (await this.#caller.call(call, { patienceSeconds })).status !== 202;
  }

  async #vend(call: Call, signal: AbortSignal, closed: () => void): Promise<Role> {
    const trace = new Trace();
    try {
      const required = ["id", "state", "platforms", "agent", "user"] as const;
      const vended = await this.#caller.document<VendedRole>(call, required, { signal, trace });
      const { id } = vended;
      const role = new Role(vended, {
        release: () => this.release(id),
        releaseAtEnd: () => this.#releaseAtEnd(id),
        closed,
      });
      signal.throwIfAborted();
      addRole(id, this.#caller);
      return role;
    } catch (error) {
      if (trace.mayBeDone) await this.#giveBack(call);
      throw error;
    }
  }

  /** Release the role that `call` may have created. The same idempotency key finds it. */
  async #giveBack(call: Call): Promise<void> {
    try {
      const { id } = await this.#caller.document<{ id: string }>(call, ["id"], { patienceSeconds: RELEASE_SECONDS });
      await this.#release(id, RELEASE_SECONDS);
    } catch (error) {
      warn(`a role may be left over until its expiry: ${error}`);
    }
  }

  async #releaseAtEnd(roleId: string): Promise<void> {
    if (!hasRole(roleId)) return;
    try {
      await this.#release(roleId, RELEASE_SECONDS);
    } catch (error) {
      if (!(error instanceof NotFound)) {
        warn(`the role ends at its expiry if a further try fails: ${error}`);
        return;
      }
    }
    forgetRole(roleId);
  }
}

async function vendBody(options: VendOptions): Promise<Partial<VendRequest>> {
  const { approval } = options;
  const id = approval instanceof AccessRequested ? approval.id : approval;
  return compact<Partial<VendRequest>>({
    ...(await proof(options)),
    platforms: places(options.platform),
    allowPartial: options.allowPartial || undefined,
    purpose: options.purpose,
    resources: nonEmpty(options.resources?.map(tableName)),
    expirationSeconds: options.ttlSeconds,
    approval: id === undefined ? undefined : { id },
    task: taskMember(options.task),
  });
}

async function proof({ userToken, user }: Who): Promise<Pick<VendRequest, "userToken" | "user">> {
  if ((userToken === undefined) === (user === undefined))
    throw new TypeError("give userToken, or user where the agent is trusted to name one");
  return userToken === undefined ? { user: user ?? null } : { userToken: await currentToken(userToken) };
}

function places(platform: string | readonly string[]): string[] {
  const names = typeof platform === "string" ? [platform] : [...platform];
  if (names.length === 0) throw new TypeError("name a platform, or several");
  return names;
}

function rolePath(roleId: string): string {
  return `${ROLES}/${encodeURIComponent(roleId)}`;
}

type Loose<Value> = { [Name in keyof Value]: Value[Name] | undefined };

function compact<Value extends object>(members: Loose<Value>): Value {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Value;
}

function nonEmpty<Item>(items: Item[] | undefined): Item[] | undefined {
  return items?.length ? items : undefined;
}

function certificatesIn(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Misconfigured(`cannot read the certificates in ${file}: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

function warn(message: string): void {
  process.emitWarning(message, { type: "RolevendWarning" });
}
