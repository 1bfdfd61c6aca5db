/** The client against the API itself: what `test/live` shows with its contract holds for the API. */

import { generateText, stepCountIs } from "ai";
import { afterEach, beforeAll, expect, test } from "vitest";
import { rolevendTools } from "../../src/ai.js";
import { Denied, InvalidInput, NotFound, Refused, RoleEnded, Rolevend } from "../../src/index.js";
import { aiModel } from "../programs/scripted.mjs";
import { client, site, tokens, wish } from "../site.js";

const there = site();
const rolevend = client(there);
const PEOPLE = "SELECT person_id, ssn FROM people ORDER BY 1";
// pg reads a bigint as a string: JavaScript has no such number.
const HIDDEN = [
  { person_id: "1", ssn: null },
  { person_id: "2", ssn: null },
];

beforeAll(async () => {
  // The replica has read the policy, and the profile is built.
  const patient = new Rolevend({ ...there, patienceSeconds: 90 });
  await patient.withRole(wish(there, there.anna), (role) => role.query("SELECT 1"));
});

afterEach(async () => {
  await expect.poll(() => rolevend.list(), { timeout: 60_000 }).toEqual([]);
});

test("a block reads the person's rows and leaves nothing", async () => {
  let id: string;
  {
    const options = { ttlSeconds: 300, purpose: "reporting", task: { id: "chat-4711", intent: "Who is there?" } };
    await using role = await rolevend.vend(wish(there, there.anna, options));
    expect((await role.query(PEOPLE)).rows).toEqual(HIDDEN);
    expect(role.vended.user.subject).toBe("anna");
    expect(role.explanation.tables?.[0]?.columns).toContainEqual(
      expect.objectContaining({ name: "ssn", shown: "Masked", mask: "Nullify" }),
    );
    expect(role.remainingSeconds).toBeLessThanOrEqual(300);
    id = role.id;
    await expect.poll(async () => (await rolevend.list()).map((each) => each.id)).toEqual([id]);
    expect(await rolevend.get(id)).toMatchObject({ roleName: role.name, state: "Live" });
  }
  await expect.poll(() => rolevend.get(id).catch((error) => error.constructor)).toBe(NotFound);
  await expect(rolevend.release(id)).rejects.toThrow(NotFound);
});

test("an error is what the client calls it", async () => {
  const refused = await rolevend.vend({ platform: there.platform, userToken: there.expired }).catch((error) => error);
  expect(refused).toBeInstanceOf(Refused);
  expect([refused.code, refused.problem.field, refused.requestId.length]).toEqual(["TokenExpired", "userToken", 32]);
  const stranger = { platform: there.platform, userToken: there.eve };
  await expect(new Rolevend({ url: there.url, agentToken: "no.token.atall" }).vend(stranger)).rejects.toThrow(Refused);
  const denied = await rolevend.vend(stranger).catch((error) => error);
  expect(denied).toBeInstanceOf(Denied);
  expect(denied.code).toBe("NoPolicy");
  const invalid = await rolevend.vend(wish(there, there.anna, { ttlSeconds: 1 })).catch((error) => error);
  expect(invalid).toBeInstanceOf(InvalidInput);
  expect(invalid.field).toBe("expirationSeconds");
  await expect(rolevend.vend(wish(there, there.anna, { resources: ["nowhere.nothing"] }))).rejects.toThrow(Denied);
  const mistyped = await rolevend.vend(wish(there, there.anna, { platform: `${there.platform}e` })).catch((error) => error);
  expect(mistyped).toBeInstanceOf(InvalidInput);
  expect(mistyped.code).toBe("PlatformUnknown");
  expect((await rolevend.platforms()).map(({ name }) => name)).toContain(there.platform);
  expect((await rolevend.decide(stranger)).granted).toBe(false);
  expect((await rolevend.decide(wish(there, there.anna))).granted).toBe(true);
});

test("a token proves one role", async () => {
  const userToken = tokens(there.anna)();
  await using role = await rolevend.vend({ platform: there.platform, userToken });
  const again = await rolevend.vend({ platform: there.platform, userToken }).catch((error) => error);
  expect(again).toBeInstanceOf(Denied);
  expect(again.code).toBe("TokenReplayed");
  expect((await role.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
});

test("the same key finds the same role", async () => {
  const options = { platform: there.platform, userToken: tokens(there.anna)(), idempotencyKey: "chat-4711" };
  await using first = await rolevend.vend(options);
  await using second = await rolevend.vend(options);
  expect([second.id, second.name]).toEqual([first.id, first.name]);
});

test("a session vends again after its role was ended by others, and expires with the role", async () => {
  await using session = rolevend.session(wish(there, there.anna));
  expect((await session.query(PEOPLE)).rows).toEqual(HIDDEN);
  const first = await session.role();
  await client(there).release(first.id);
  expect((await session.query(PEOPLE)).rows).toEqual(HIDDEN);
  expect((await session.role()).id).not.toBe(first.id);
  await expect(first.query("SELECT 1")).rejects.toThrow(RoleEnded);
});

test("an expiry is typed, with its time", async () => {
  await using role = await rolevend.vend(wish(there, there.anna, { ttlSeconds: 5 }));
  const ended = await role.query("SELECT pg_sleep(60)").catch((error) => error);
  expect(ended).toMatchObject({ name: "RoleEnded", reason: "Expired", at: role.expiresAt });
});

test("a model asks for an offer, a person approves it, and the next role reads in clear", async () => {
  await using session = rolevend.session(wish(there, there.anna));
  const offered = async () => (await rolevend.decide(wish(there, there.anna))).explanation?.offers?.[0]?.name;
  await expect.poll(offered, { timeout: 60_000 }).toBeTypeOf("string"); // the replica has read the newest policy
  const offer = await offered();
  const model = aiModel(
    ["list_tables", {}],
    ["request_access", { offer, why: "the customer asked" }],
    (answers: string[]) => ["access_status", { request: /Request (\S+)/.exec(answers.at(-1) ?? "")?.[1], wait_seconds: 60 }],
    ["query_sql", { statement: PEOPLE }],
  );
  const { text, steps } = await generateText({ model, tools: rolevendTools(session), prompt: "Who?", stopWhen: stepCountIs(5) });
  const said = steps.flatMap(({ toolResults }) => toolResults.map(({ output }) => String(output)));
  expect(said[0]).toContain(offer);
  expect(said[1]).toMatch(/waits for the decision of people|is approved by/); // the person may be as fast as the model
  expect(said[2]).toContain("is approved by");
  expect(text).toBe("person_id,ssn\n1,900-01-0001\n2,900-01-0002\n(2 rows)");
});
