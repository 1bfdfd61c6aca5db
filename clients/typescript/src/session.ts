/** A session of one person: one role at a time, vended when it is needed, and again after its end. */

import type pg from "pg";
import type { AccessRequested } from "./access.js";
import type { RequestOptions, Rolevend, VendOptions } from "./client.js";
import { Refused, RoleEnded, type RolevendError, Unavailable } from "./errors.js";
import type { QueryOptions, Role } from "./role.js";

/** A role with less time than this is replaced before the next statement, so that its expiry ends no statement at its start. */
const LAST_SECONDS = 2;
/** So many roles in a row may be revoked; after the next one the session is over. */
const MOST_EARLY_ENDS = 3;

export type SessionRequest = Omit<RequestOptions, "userToken" | "user" | "platform" | "task"> & { platform?: string };

export class Session implements AsyncDisposable {
  /** The platforms of the session's own role. */
  readonly platforms: readonly string[];
  readonly #rolevend: Rolevend;
  readonly #options: VendOptions;
  #approved: Partial<VendOptions> | undefined;
  #vending: Promise<Role> | undefined;
  #role: Role | undefined;
  #person: string | undefined;
  #earlyEnds = 0;
  #over: RolevendError | undefined;

  constructor(rolevend: Rolevend, options: VendOptions) {
    this.#rolevend = rolevend;
    this.#options = options;
    this.platforms = typeof options.platform === "string" ? [options.platform] : options.platform;
  }

  /** The purpose and the only tables of the session's own role. */
  get wish(): Pick<VendOptions, "purpose" | "resources"> {
    const { purpose, resources } = this.#options;
    return { ...(purpose === undefined ? {} : { purpose }), ...(resources === undefined ? {} : { resources }) };
  }

  /** True if no call can succeed any more. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Return the role of now. Vends one if there is none, or if the last one has ended. Callers at the same time share one vend. */
  async role(): Promise<Role> {
    if (this.#over !== undefined) throw this.#over;
    if (this.#vending !== undefined) return await this.#vending;
    if (this.#role !== undefined && this.#approved === undefined && this.#role.remainingSeconds > LAST_SECONDS) return this.#role;
    this.#vending = this.#replace().finally(() => {
      this.#vending = undefined;
    });
    return await this.#vending;
  }

  /**
   * Return what `work` returns with a connection of the role. A role that had ended before is replaced. A transaction that `work` leaves open
   * is rolled back.
   */
  async withConnection<Result>(work: (client: pg.PoolClient, role: Role) => Promise<Result>, platform?: string): Promise<Result> {
    for (let tries = 0; ; tries++) {
      const role = await this.role();
      let client: pg.PoolClient;
      try {
        client = await role.throwingRoleEnded(() => role.pool(platform).connect());
      } catch (error) {
        if (error instanceof RoleEnded && tries === 0 && this.#over === undefined) continue; // nothing was sent
        throw error;
      }
      let isBroken = true;
      try {
        const result = await role.throwingRoleEnded(() => work(client, role));
        isBroken = false;
        return result;
      } catch (error) {
        isBroken = error instanceof RoleEnded;
        throw error;
      } finally {
        client.release(isBroken || !(await isRolledBack(client)));
      }
    }
  }

  /**
   * Run one statement. Throws `RoleEnded` if the role ends during the statement, which may have run; the next statement gets another role.
   */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters: readonly unknown[] = [],
    { platform }: QueryOptions = {},
  ): Promise<pg.QueryResult<Row>> {
    return await this.withConnection((client) => client.query<Row>(sql, [...parameters]), platform);
  }

  /** Request an offer for the person of this session. */
  async requestAccess(options: SessionRequest): Promise<AccessRequested> {
    const { userToken, user, task, purpose } = this.#options;
    const who = { ...(userToken === undefined ? {} : { userToken }), ...(user === undefined ? {} : { user }) };
    const rest = { ...(task === undefined ? {} : { task }), ...(purpose === undefined ? {} : { purpose }) };
    return await this.#rolevend.requestAccess({ platform: this.platforms[0] ?? "", ...rest, ...options, ...who });
  }

  /** Use an approved request: the next role reads the tables of its offer alone. After its end the session's own role is vended again. */
  use(request: AccessRequested, options: Pick<VendOptions, "platform" | "purpose">): void {
    const seconds = request.found.approval?.expirationSeconds;
    this.#approved = { ...options, approval: request.id, ...(seconds === undefined ? {} : { ttlSeconds: seconds }) };
  }

  /** Release the role, and vend no other one. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over ??= new RoleEnded("the session is over", "Released", new Date());
    await this.#vending?.catch(() => {});
    await this.#role?.[Symbol.asyncDispose]();
  }

  async #replace(): Promise<Role> {
    const ended = this.#role?.ended;
    await this.#role?.[Symbol.asyncDispose]();
    this.#role = undefined;
    if (ended?.reason !== "Released") this.#earlyEnds = ended?.reason === "Revoked" ? this.#earlyEnds + 1 : 0;
    if (ended !== undefined && this.#earlyEnds > MOST_EARLY_ENDS) {
      this.#over = ended;
      throw ended;
    }
    const approved = this.#approved;
    this.#approved = undefined;
    const { resources, ...rest } = this.#options;
    try {
      this.#role = await this.#ofSamePerson(await this.#rolevend.vend(approved === undefined ? this.#options : { ...rest, ...approved }));
    } catch (error) {
      if (error instanceof Unavailable) this.#approved ??= approved; // for the next try
      throw error;
    }
    return this.#role;
  }

  /** Return the role. One of another person than before is released, and the session is over. */
  async #ofSamePerson(role: Role): Promise<Role> {
    const { issuer, subject } = role.vended.user;
    const person = JSON.stringify([issuer, subject]);
    this.#person ??= person;
    if (person === this.#person) return role;
    this.#over = new Refused("the session is over: its source returned the token of another person");
    await role[Symbol.asyncDispose]();
    throw this.#over;
  }
}

/** Roll back an open transaction, of which the next user of the connection must not be a part. Returns false if that fails. */
async function isRolledBack(client: pg.PoolClient): Promise<boolean> {
  const status = (client as unknown as { getTransactionStatus?(): string | null }).getTransactionStatus?.() ?? "T";
  return (
    status === "I" ||
    (await client.query("ROLLBACK").then(
      () => true,
      () => false,
    ))
  );
}
