/** An open role and the connections that are opened as it. A role is not renewed; it is released when it is disposed of. */

import type { Duplex } from "node:stream";
import { checkServerIdentity } from "node:tls";
import pg from "pg";
import { Misconfigured, RoleEnded, Unexpected } from "./errors.js";
import type { Credential, Explanation, KeyPairCredential, LeftOut, Platform, VendedRole } from "./values.js";

// Node.js 20.0 to 20.4 have no such symbol; TypeScript's code for `await using` looks for it here.
(Symbol as { asyncDispose: symbol }).asyncDispose ??= Symbol.for("Symbol.asyncDispose");

/** The sessions of a pool. A role has 8 by default; see `roleLimits.maxConnections` of the DataPlatform. */
const POOL_SIZE = 4;
/** Seconds for a server to confirm the end of its connections. One that is silent must not hold up the release. */
const CLOSE_SECONDS = 1;
/** The difference of two clocks that is not an earlier end, in milliseconds. */
const ABOUT_NOW = 5_000;
/** The members of a login. The driver would take one that is absent from the environment. */
const LOGIN = ["username", "password", "host", "port", "dbname", "sslmode"] as const;

export interface QueryOptions {
  /** Optional if the role has one PostgreSQL. */
  platform?: string;
}

/** How a role talks to the API. */
export interface RoleCalls {
  release(): Promise<boolean>;
  /** Release without throwing. */
  releaseAtEnd(): Promise<void>;
  /** The role is being released. */
  closed(): void;
}

export class Role implements AsyncDisposable {
  readonly vended: VendedRole;
  /** The platforms with a login. */
  readonly platforms: readonly Platform[];
  readonly #logins: ReadonlyMap<string, Credential | KeyPairCredential>;
  readonly #calls: RoleCalls;
  readonly #pools = new Map<string, pg.Pool>();
  readonly #clients = new Set<pg.Client>();
  /** They reject the calls that are under way: pg leaves those in the queue of a pool that ends without an answer. */
  readonly #running = new Set<(end: RoleEnded) => void>();
  #ended: RoleEnded | undefined;
  #disposed: Promise<void> | undefined;

  constructor(vended: VendedRole, calls: RoleCalls) {
    const logins = vended.platforms.flatMap((each) => (each.credential ? [[each.name, each.credential] as const] : []));
    if (logins.length === 0) throw new Unexpected(`cannot use the role ${vended.id}: the answer holds no credential`);
    if (Number.isNaN(Date.parse(vended.expirationTimestamp ?? "1970-01-01"))) {
      throw new Unexpected(`cannot use the role ${vended.id}: its expiry is not a time`);
    }
    for (const [place, login] of logins) {
      const members: Readonly<Record<string, unknown>> = { ...login };
      const absent = members.privateKey === undefined ? LOGIN.find((name) => !members[name]) : undefined;
      if (absent !== undefined) throw new Unexpected(`cannot use the role ${vended.id}: its login on ${place} has no ${absent}`);
    }
    this.#logins = new Map(logins);
    this.#calls = calls;
    this.platforms = vended.platforms.filter((each) => this.#logins.has(each.name)).map(({ credential, ...rest }) => rest);
    this.vended = { ...vended, platforms: vended.platforms.map(({ credential, ...rest }) => rest) };
  }

  get id(): string {
    return this.vended.id;
  }

  /** The name of the role, the same on each platform. */
  get name(): string {
    return this.vended.roleName ?? "";
  }

  /** The time at which the role expires, even if it is connected then. */
  get expiresAt(): Date | undefined {
    return this.vended.expirationTimestamp ? new Date(this.vended.expirationTimestamp) : undefined;
  }

  /** The end of the role, if it is known here. */
  get ended(): RoleEnded | undefined {
    return this.#ended;
  }

  /** Seconds until the role expires; 0 after its end. */
  get remainingSeconds(): number {
    if (this.#ended !== undefined) return 0;
    return this.expiresAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, (this.expiresAt.getTime() - Date.now()) / 1000);
  }

  /** The tables that the role reads, and the policies that grant them. */
  get explanation(): Explanation {
    return this.vended.explanation ?? ({ tables: [] } as unknown as Explanation);
  }

  /** The requested platforms without a role; only with `allowPartial`. */
  get leftOut(): readonly LeftOut[] {
    return this.vended.leftOut ?? [];
  }

  /** Return the login, with its password or private key: for a driver of one's own. */
  credential(platform?: string): Credential | KeyPairCredential {
    return this.#login(() => true, platform)[1];
  }

  /** Return the configuration for `new pg.Client(…)` and `new pg.Pool(…)`. It verifies the server's certificate and name. */
  connectionConfig(platform?: string): pg.ClientConfig {
    const login = this.#postgres(platform)[1];
    const { host, port, dbname: database, username: user, password } = login;
    return { host, port, database, user, password, ssl: tlsOf(login) };
  }

  /** Return the pool of this role, which is closed with it. `options` apply to the first call for a platform. */
  pool(platform?: string, options: pg.PoolConfig = {}): pg.Pool {
    this.#expectOpen();
    const [place] = this.#postgres(platform);
    const found = this.#pools.get(place);
    if (found !== undefined) return found;
    const pool = new pg.Pool({ max: POOL_SIZE, ...options, ...this.connectionConfig(place) });
    pool.on("error", () => {}); // the end of an idle session; the next query says so
    pool.on("connect", (client) => {
      client.on("error", () => {}); // without a listener the end of a session that was taken from the pool would end the process
      if (this.#ended?.reason === "Released") void closed(client as unknown as pg.Client);
      else this.#clients.add(client as unknown as pg.Client);
    });
    pool.on("remove", (client) => this.#clients.delete(client as unknown as pg.Client));
    this.#pools.set(place, pool);
    return pool;
  }

  /** Open a connection of its own. It is closed with the role. */
  async connect(platform?: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
    this.#expectOpen();
    const client = new pg.Client({ ...options, ...this.connectionConfig(platform) });
    client.on("error", () => {}); // the end of an idle session; the next query says so
    client.on("end", () => this.#clients.delete(client));
    this.#clients.add(client);
    await this.throwingRoleEnded(() => client.connect());
    return client;
  }

  /** Run one statement on the role's pool. Throws `RoleEnded` if the role has ended. */
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters: readonly unknown[] = [],
    { platform }: QueryOptions = {},
  ): Promise<pg.QueryResult<Row>> {
    const pool = this.pool(platform);
    return await this.throwingRoleEnded(() => pool.query<Row>(sql, [...parameters]));
  }

  /** Return what `work` returns. Throws `RoleEnded` instead of the driver's error if that is due to the end of the role. */
  async throwingRoleEnded<Result>(work: () => Promise<Result>): Promise<Result> {
    let stop: (end: RoleEnded) => void = () => {};
    const ended = new Promise<never>((_, reject) => {
      stop = reject;
    });
    this.#running.add(stop);
    try {
      return await Promise.race([work(), ended]);
    } catch (error) {
      throw (await this.#endBehind(error)) ?? error;
    } finally {
      this.#running.delete(stop);
    }
  }

  /** Release the role now. Returns true if it is known to be dropped. Throws if the release fails. */
  async release(): Promise<boolean> {
    await this.#close();
    return await this.#calls.release();
  }

  /** Close the connections and release the role. A release that fails is tried again at the exit of the process, and throws nothing. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= (async () => {
      try {
        await this.#close();
      } finally {
        await this.#calls.releaseAtEnd();
      }
    })();
    return this.#disposed;
  }

  async #close(): Promise<void> {
    this.#calls.closed();
    this.#ended ??= new RoleEnded(`the role ${this.name} was released`, "Released", new Date());
    for (const stop of this.#running) stop(this.#ended);
    for (const pool of this.#pools.values()) void pool.end().catch(() => {}); // it would wait for clients that are not given back
    await Promise.allSettled([...this.#clients].map(closed));
    this.#clients.clear();
    this.#pools.clear();
  }

  #expectOpen(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  async #endBehind(error: unknown): Promise<RoleEnded | undefined> {
    if (error === this.#ended || this.#ended?.reason === "Released") return this.#ended;
    if (!(isRefusedLogin(error) || (mayHaveEnded(error) && (await this.#isRefused())))) return this.#ended;
    const { expiresAt } = this;
    if (expiresAt !== undefined && expiresAt.getTime() <= Date.now() + ABOUT_NOW) {
      this.#ended ??= new RoleEnded(`the role ${this.name} expired at ${expiresAt.toISOString()}`, "Expired", expiresAt, { cause: error });
    } else {
      const message = `the role ${this.name} ended before its time, such as by a revocation or a change of policy`;
      this.#ended ??= new RoleEnded(message, "Revoked", new Date(), { cause: error });
    }
    return this.#ended;
  }

  /** Return true if a database refuses the login, as it does after the end of the role and not after a restart. */
  async #isRefused(): Promise<boolean> {
    const places = [...this.#logins].flatMap(([name, login]) => ("dbname" in login ? [name] : []));
    const answers = await Promise.all(places.map((place) => refusal({ ...this.connectionConfig(place), connectionTimeoutMillis: 5_000 })));
    return answers.some(isRefusedLogin);
  }

  #postgres(platform?: string): [string, Credential] {
    return this.#login((login): login is Credential => "dbname" in login, platform);
  }

  #login<Login extends Credential | KeyPairCredential>(
    fits: (login: Credential | KeyPairCredential) => login is Login,
    platform?: string,
  ): [string, Login];
  #login(fits: (login: Credential | KeyPairCredential) => boolean, platform?: string): [string, Credential | KeyPairCredential];
  #login(fits: (login: Credential | KeyPairCredential) => boolean, platform?: string): [string, Credential | KeyPairCredential] {
    const fitting = [...this.#logins].filter(([, login]) => fits(login));
    const chosen = platform === undefined ? fitting : fitting.filter(([name]) => name === platform);
    const [first, ...others] = chosen;
    if (first === undefined || others.length > 0)
      throw new Misconfigured(
        this.#noLogin(
          platform,
          fitting.map(([name]) => name),
        ),
      );
    return first;
  }

  #noLogin(platform: string | undefined, fitting: readonly string[]): string {
    const there = this.platforms.map((each) => `${each.name} (${each.type})`).join(", ");
    const absent = this.leftOut.find((each) => each.name === platform);
    if (absent !== undefined) return `cannot log in on ${platform}: the role was left out there (${absent.reason}): ${absent.message}`;
    if (platform !== undefined) return `cannot log in on ${platform} in this way: the role is on ${there}`;
    if (fitting.length > 0) return `cannot tell which platform is meant: name one of ${fitting.join(", ")}`;
    return `cannot log in in this way: the role is on ${there}, and pg is for PostgreSQL`;
  }
}

/** Return the options of TLS, as libpq reads `sslmode`. With `verify-full` the host that the API named is compared, also an IP address. */
function tlsOf({ host, sslmode, caCertificates }: Credential): pg.ClientConfig["ssl"] {
  const authority = caCertificates ? { ca: caCertificates } : {};
  switch (sslmode) {
    case "verify-full":
      return { ...authority, rejectUnauthorized: true, checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) };
    case "verify-ca":
      if (!caCertificates) throw new Unexpected(`cannot log in at ${host}: sslmode verify-ca needs the certificates of an authority`);
      return { ...authority, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "require":
      return { ...authority, rejectUnauthorized: "ca" in authority, checkServerIdentity: () => undefined };
    case "disable":
      return false;
    default:
      throw new Unexpected(`cannot log in at ${host}: this version does not know the sslmode ${sslmode}`);
  }
}

/** Close a connection, at once if the server does not confirm it. */
async function closed(client: pg.Client): Promise<void> {
  const stream = () => (client as unknown as { connection: { stream: Duplex } }).connection.stream;
  const late = setTimeout(() => stream().destroy(), CLOSE_SECONDS * 1000);
  try {
    await client.end();
  } finally {
    clearTimeout(late);
  }
}

/** Return true if the database refused the login: the password is the API's, so the role has ended. */
function isRefusedLogin(error: unknown): boolean {
  return ["28P01", "28000"].includes((error as { code?: string } | undefined)?.code ?? "");
}

/** Codes with which the database ends a session, and with which it refuses statements of a role that is closed but still connected. */
const MAY_HAVE_ENDED = ["57P01", "42501", "42P01"];

/** Return true if a session was lost or a statement refused, as it is when the role ends, but also for other reasons. */
function mayHaveEnded(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) return MAY_HAVE_ENDED.includes(code) || code.startsWith("08");
  return code === "ECONNRESET" || code === "EPIPE" || /connection terminated|not queryable|connection error/i.test(message ?? "");
}

/** Return the error of a login, or undefined. */
async function refusal(config: pg.ClientConfig): Promise<unknown> {
  const client = new pg.Client(config);
  client.on("error", () => {});
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await closed(client);
  }
}
