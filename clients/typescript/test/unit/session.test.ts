/** A session: one role at a time, for one person. */

import { createServer } from "node:net";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Refused, RoleEnded, Unavailable } from "../../src/index.js";
import { Api, answer, problem, RELEASE, requested, role, USER_TOKEN, VEND, WISH } from "../answers.js";

const APPROVED = requested("Approved", { approval: { claimUntil: "2026-11-24T14:15:00Z", expirationSeconds: 600, approvedBy: [] } });
const soon = () => new Date(Date.now() + 1_000).toISOString();

test.each([
  { issuer: "https://idp.example.org", subject: "bob" },
  { issuer: "https://other.example.org", subject: "anna" },
])("a session whose source names another person is over, and its role is released: %j", async (other) => {
  const user = { ...role().user, ...other };
  const api = new Api(answer(201, role({ expirationTimestamp: soon() })), answer(204), answer(201, role({ user })), answer(204));
  await using session = api.client().session(WISH);
  await session.role();
  for (const again of [1, 2, 3]) {
    const error = await session.role().catch((reason) => reason);
    expect(error, `${again}`).toBeInstanceOf(Refused);
    expect(error.message).toContain("another person");
  }
  await expect(session.query("SELECT 1")).rejects.toThrow(Refused);
  expect(api.lines).toEqual([VEND, RELEASE, VEND, RELEASE]);
});

test("an approval is not lost while the API is away", async () => {
  const api = new Api(answer(201, role()), APPROVED, answer(204), problem(503, "PlatformUnreachable"), answer(201, role()));
  await using session = api.client({ patienceSeconds: 0 }).session(WISH);
  await session.role();
  session.use(await session.requestAccess({ offer: "domain-claims/fraud-ssn-clear" }), { platform: "warehouse" });
  await expect(session.role()).rejects.toThrow(Unavailable);
  await session.role();
  expect(api.body(3)).toMatchObject({ approval: { id: "ar-3f7k2m" } });
  expect(api.body(4)).toMatchObject({ approval: { id: "ar-3f7k2m" } });
});

test("a session shows no token of the person", async () => {
  await using session = new Api(answer(201, role())).client().session({ ...WISH, purpose: "reporting" });
  await session.role();
  for (const shown of [session, session.wish]) {
    expect(inspect(shown, { depth: 9, getters: true, showHidden: true })).not.toContain(USER_TOKEN);
    expect(JSON.stringify(shown)).not.toContain(USER_TOKEN);
  }
  expect(session.wish).toEqual({ purpose: "reporting" });
});

test("a session may end several times, also while it vends", async () => {
  const api = new Api(answer(201, role()));
  const session = api.client().session(WISH);
  const early = session.role();
  await Promise.all([session[Symbol.asyncDispose](), session[Symbol.asyncDispose]()]);
  await early;
  await session[Symbol.asyncDispose]();
  await expect(session.role()).rejects.toThrow(RoleEnded);
  expect(api.lines).toEqual([VEND, RELEASE]);
});

test("a person whose roles are revoked again and again gets no more", async () => {
  // A database that refuses each login, as after a revocation.
  const refusal = Buffer.from("SFATAL\0C28P01\0Mpassword authentication failed\0\0");
  const length = Buffer.alloc(4);
  length.writeInt32BE(refusal.length + 4);
  const server = createServer((socket) => {
    socket.on("error", () => {}).once("data", () => socket.end(Buffer.concat([Buffer.from("E"), length, refusal])));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const revoked = (n: number) => answer(201, role({ id: `role-${n}` }, { host: "127.0.0.1", port, sslmode: "disable" }));
  const api = new Api(...Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? revoked(n) : answer(204))));
  try {
    await using session = api.client().session(WISH);
    for (let n = 0; n < 5; n++) await expect(session.query("SELECT 1")).rejects.toMatchObject({ name: "RoleEnded", reason: "Revoked" });
    expect(api.lines.filter((line) => line === VEND)).toHaveLength(4);
    expect(api.lines.at(-1)).toContain("DELETE");
  } finally {
    server.close();
  }
});
