/** A role on a real PostgreSQL under TLS: it reads the person's rows, and is gone afterwards. */

import pg from "pg";
import { expect, test } from "vitest";
import { Denied, Refused, RoleEnded } from "../../src/index.js";
import { Role } from "../../src/role.js";
import { client, closes, ends, site, wish } from "../site.js";

const there = site();
const rolevend = client(there);
const REGIONS = "SELECT region, count(*)::int AS people FROM people GROUP BY region ORDER BY region";
const EU = [{ region: "EU", people: 2 }];

test("a block reads the person's rows and leaves nothing", async () => {
  let late: () => Promise<unknown>;
  {
    await using anna = await rolevend.vend(wish(there, there.anna));
    await using bob = await rolevend.vend(wish(there, there.bob));
    expect((await anna.query(REGIONS)).rows).toEqual(EU);
    expect((await bob.query(REGIONS)).rows).toEqual([{ region: "US", people: 2 }]);
    const { rows } = await anna.query("SELECT session_user::text AS role, count(*)::int AS rows FROM people WHERE region = $1", ["EU"]);
    expect(rows).toEqual([{ role: anna.name, rows: 2 }]);
    const connection = await anna.connect();
    expect((await connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).rows).toEqual([{ ssl: true }]);
    late = () => anna.query("SELECT 1");
  }
  await expect(late()).rejects.toThrow(RoleEnded);
});

test("more statements at once than the role may have sessions wait for each other", async () => {
  await using role = await rolevend.vend(wish(there, there.anna));
  const answers = await Promise.all(Array.from({ length: 30 }, () => role.query(REGIONS)));
  expect(answers.map(({ rows }) => rows)).toEqual(Array(30).fill(EU));
});

test("a client that is not given back does not hold up the end, and its statement fails", async () => {
  const role = await rolevend.vend(wish(there, there.anna));
  const kept = await role.pool().connect();
  const running = expect(kept.query("SELECT count(*) FROM generate_series(1, 1e9)")).rejects.toThrow();
  await role[Symbol.asyncDispose]();
  await running;
});

test("an abort ends the role with its statement", async () => {
  const abort = new AbortController();
  await using role = await rolevend.vend({ ...wish(there, there.anna), signal: abort.signal });
  await role.query("SELECT 1");
  const running = expect(role.query("SELECT count(*) FROM generate_series(1, 1e9)")).rejects.toThrow(RoleEnded);
  abort.abort();
  await running;
});

test("what is not granted is denied, and a token that proves nothing is refused", async () => {
  const denied = await rolevend.vend({ platform: there.platform, userToken: there.eve }).catch((error) => error);
  expect(denied).toBeInstanceOf(Denied);
  expect(denied.code).toBe("NoPolicy");
  await expect(rolevend.vend({ platform: there.platform, userToken: there.expired })).rejects.toThrow(Refused);
  await using role = await rolevend.vend(wish(there, there.anna));
  await expect(role.query("SELECT * FROM people.secrets")).rejects.toMatchObject({ code: "42P01" });
});

test("the end of a role by others is RoleEnded, for idle, running and new sessions, and crashes nothing", async () => {
  await using role = await rolevend.vend(wish(there, there.anna));
  const idle = await role.connect();
  await role.query("SELECT 1");
  const running = expect(role.query("SELECT count(*) FROM generate_series(1, 1e9)")).rejects.toMatchObject({
    name: "RoleEnded",
    reason: "Revoked",
  });
  await ends(there, role);
  await running;
  await expect(idle.query("SELECT 1")).rejects.toThrow();
  await expect(role.query("SELECT 1")).rejects.toThrow(RoleEnded);
  await expect(role.connect()).rejects.toThrow(RoleEnded);
});

test("a statement of a role that is closed and still connected is RoleEnded", async () => {
  await using role = await rolevend.vend(wish(there, there.anna));
  await role.query(REGIONS);
  await closes(there, role);
  await expect(role.query(REGIONS)).rejects.toMatchObject({ name: "RoleEnded", reason: "Revoked" });
});

test("a session vends again after the end of its role, with another token, and holds one role", async () => {
  await using session = rolevend.session(wish(there, there.anna));
  const roles = await Promise.all([session.role(), session.role()]);
  expect(roles[0]).toBe(roles[1]);
  expect((await session.query(REGIONS)).rows).toEqual(EU);
  await ends(there, roles[0] as Role);
  expect((await session.query(REGIONS)).rows).toEqual(EU);
  const second = await session.role();
  expect(second.name).not.toBe(roles[0]?.name);

  const running = expect(session.query("SELECT count(*) FROM generate_series(1, 1e9)")).rejects.toThrow(RoleEnded);
  await session.query("SELECT 1");
  await ends(there, second);
  await running;
  expect((await session.query("SELECT session_user::text AS name")).rows).not.toEqual([{ name: second.name }]);
});

test("a session that is over vends nothing", async () => {
  const session = rolevend.session(wish(there, there.anna));
  const early = session.role();
  await session[Symbol.asyncDispose]();
  await early;
  await expect(session.query("SELECT 1")).rejects.toThrow(RoleEnded);
});

test("the server must prove its name, and be of the authority that the API names", async () => {
  await using role = await rolevend.vend(wish(there, there.anna));
  const { vended } = role;
  const calls = { release: async () => true, releaseAtEnd: async () => {}, closed: () => {} };
  const changed = (credential: object) => {
    const platforms = [{ name: "warehouse", credential: { ...role.credential(), ...credential } }];
    return new Role({ ...vended, platforms } as Role["vended"], calls);
  };
  await using right = changed({});
  expect((await right.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  const { host } = role.credential();
  const elsewhere = host === "localhost" ? "127.0.0.2" : "localhost";
  await using renamed = changed({ host: elsewhere });
  await expect(renamed.query("SELECT 1")).rejects.toThrow(/altnames|ECONNREFUSED/);
  await using untrusted = changed({ caCertificates: null });
  await expect(untrusted.query("SELECT 1")).rejects.toThrow(/certificate/);
  const config = role.connectionConfig();
  const plain = new pg.Client({ ...config, ssl: false });
  plain.on("error", () => {});
  await expect(plain.connect()).rejects.toThrow(/pg_hba|encryption/);
});
