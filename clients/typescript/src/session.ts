/** A session: one role at a time, vended when it is needed, and again after its end. */

import type pg from "pg";
import { RoleEnded } from "./errors.js";
import type { QueryOptions, Role } from "./role.js";

/** A role with less time than this is replaced before the next statement, so that its expiry ends no statement at its start. */
const LAST_SECONDS = 2;

export class Session implements AsyncDisposable {
  readonly #vend: (signal?: AbortSignal) => Promise<Role>;
  readonly #signal: AbortSignal | undefined;
  #vending: Promise<Role> | undefined;
  #role: Role | undefined;
  #isOver = false;

  constructor(vend: (signal?: AbortSignal) => Promise<Role>, signal?: AbortSignal) {
    this.#vend = vend;
    this.#signal = signal;
  }

  /** Return the role of now. Vends one if there is none, or if the last one has ended. Callers at the same time share one vend. */
  async role(): Promise<Role> {
    if (this.#isOver) throw new RoleEnded("the session is over", "Released", new Date());
    if (this.#role !== undefined && this.#role.remainingSeconds > LAST_SECONDS) return this.#role;
    this.#vending ??= this.#replace().finally(() => {
      this.#vending = undefined;
    });
    return await this.#vending;
  }

  /**
   * Run one statement. A role that had ended before the statement is replaced. Throws `RoleEnded` if the role ends during the statement,
   * which may have run; the next statement gets a new role.
   */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<pg.QueryResult<Row>> {
    for (let tries = 0; ; tries++) {
      const role = await this.role();
      let client: pg.PoolClient;
      try {
        client = await role.throwingRoleEnded(() => role.pool(options.platform).connect());
      } catch (error) {
        if (error instanceof RoleEnded && tries === 0 && !this.#isOver) continue; // nothing was sent
        throw error;
      }
      let failure: Error | undefined;
      try {
        return await role.throwingRoleEnded(() => client.query<Row>(sql, [...parameters]));
      } catch (error) {
        failure = error as Error;
        throw error;
      } finally {
        client.release(failure instanceof RoleEnded);
      }
    }
  }

  /** Release the role, and vend no other one. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#vending?.catch(() => {});
    await this.#role?.[Symbol.asyncDispose]();
  }

  async #replace(): Promise<Role> {
    await this.#role?.[Symbol.asyncDispose]();
    this.#role = undefined;
    const role = await this.#vend(this.#signal);
    this.#role = role;
    return role;
  }
}
