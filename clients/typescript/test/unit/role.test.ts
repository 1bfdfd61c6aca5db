/** A role and its logins: it ends in time although a server is silent, and logs in with what the API answered or not at all. */

import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RoleEnded, Unexpected } from "../../src/index.js";
import { Api, answer, CREDENTIAL, RELEASE, role, VEND, WISH } from "../answers.js";

let silent: Server;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  silent = createServer((socket) => sockets.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
});

afterEach(() => {
  for (const each of sockets) each.destroy();
  silent.close();
});

/** Return the login to a server that takes connections and says nothing. */
function toNobody(): object {
  return { host: "127.0.0.1", port: (silent.address() as { port: number }).port };
}

test.each(["disable", "verify-full"])("a database that is silent does not hold up the release (%s)", async (sslmode) => {
  const api = new Api(answer(201, role({}, { ...toNobody(), sslmode })));
  const open = await api.client().vend(WISH);
  const arrived = new Promise((resolve) => silent.once("connection", resolve));
  const connecting = open.connect().catch((error) => error);
  await arrived;
  await open[Symbol.asyncDispose]();
  expect(await connecting).toBeInstanceOf(RoleEnded);
  expect(api.lines).toEqual([VEND, RELEASE]);
});

test("a session that opens while the role ends is closed", async () => {
  const open = await new Api(answer(201, role({}, { ...toNobody(), sslmode: "disable" }))).client().vend(WISH);
  const arrived = once(silent, "connection");
  const early = open
    .pool()
    .connect()
    .catch(() => {});
  const [socket] = (await arrived) as [Socket];
  await once(socket, "data");
  await open[Symbol.asyncDispose]();
  socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49])); // the login is accepted, and the session ready
  await once(socket, "end");
  await early;
});

test.each(["username", "password", "host", "port", "dbname", "sslmode"] as const)(
  "without %s in the answer no login of the environment is used in its place",
  async (absent) => {
    const made = answer(201, role({}, { [absent]: undefined }));
    const api = new Api(made, made);
    await expect(api.client().vend(WISH)).rejects.toThrow(`its login on warehouse has no ${absent}`);
    expect(api.lines).toEqual([VEND, VEND, RELEASE]);
  },
);

test("the certificate of any authority for any name is not enough", async () => {
  await using open = await new Api(answer(201, role({}, { sslmode: "verify-ca" }))).client().vend(WISH);
  expect(() => open.connectionConfig()).toThrow(Unexpected);
  await using named = await new Api(answer(201, role({}, { sslmode: "verify-ca", caCertificates: "PEM" }))).client().vend(WISH);
  expect(named.connectionConfig().ssl).toMatchObject({ ca: "PEM", rejectUnauthorized: true });
  for (const sslmode of ["prefer", "allow", "VERIFY-FULL"]) {
    await using weak = await new Api(answer(201, role({}, { sslmode }))).client().vend(WISH);
    expect(() => weak.connectionConfig(), sslmode).toThrow(Unexpected);
  }
});

test("options of the caller change neither the login nor its verification", async () => {
  await using open = await new Api(answer(201, role())).client().vend(WISH);
  const pool = open.pool(undefined, { user: "postgres", password: "x", host: "evil.example.org", ssl: false, max: 2 });
  expect(pool.options).toMatchObject({ user: CREDENTIAL.username, host: CREDENTIAL.host, max: 2, ssl: { rejectUnauthorized: true } });
});

test("an abort ends the role at each turn between the vend and its return", async () => {
  for (let turns = 0; turns < 60; turns++) {
    const abort = new AbortController();
    const api = new Api(answer(201, role()), answer(201, role()));
    const vending = api.client().vend({ ...WISH, signal: abort.signal });
    const open = vending.catch(() => undefined);
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    abort.abort(new Error("the user left"));
    await open;
    await new Promise(setImmediate);
    expect(
      api.lines.filter((line) => line === VEND).length === 0 || api.lines.includes(RELEASE),
      `after ${turns} turns: ${api.lines}`,
    ).toBe(true);
  }
});

test("an error of the work stays what it is though the clock of this machine says that the role has expired", async () => {
  const expired = new Date(Date.now() - 3_600_000).toISOString();
  await using open = await new Api(answer(201, role({ expirationTimestamp: expired }))).client().vend(WISH);
  const syntax = Object.assign(new Error("syntax error"), { code: "42601" });
  await expect(open.throwingRoleEnded(() => Promise.reject(syntax))).rejects.toBe(syntax);
  await expect(open.throwingRoleEnded(() => Promise.reject(new Error("of the work")))).rejects.toThrow("of the work");
  const refused = Object.assign(new Error("password authentication failed"), { code: "28P01" });
  await expect(open.throwingRoleEnded(() => Promise.reject(refused))).rejects.toMatchObject({ name: "RoleEnded", reason: "Expired" });
  const soon = new Date(Date.now() + 3_000).toISOString();
  await using late = await new Api(answer(201, role({ expirationTimestamp: soon }))).client().vend(WISH);
  await expect(late.throwingRoleEnded(() => Promise.reject(refused))).rejects.toMatchObject({ reason: "Expired" });
});
