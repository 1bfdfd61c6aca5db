/** A role for a block: what is asked for, what comes of the answer, and that it is released at every end. */

import { inspect } from "node:util";
import { expect, test } from "vitest";
import {
  Conflict,
  Denied,
  InvalidInput,
  Misconfigured,
  NotFound,
  Refused,
  RoleEnded,
  RolevendError,
  TooManyRequests,
  Unavailable,
  Unexpected,
} from "../../src/index.js";
import { denied } from "../../src/messages.js";
import { Api, answer, LOST, MISSING, NOT_CONNECTED, PASSWORD, problem, RELEASE, role, TOKEN, USER_TOKEN, VEND, WISH } from "../answers.js";

async function vendOnce(api: Api, options: object = {}): Promise<void> {
  await using _ = await api.client().vend({ ...WISH, ...options });
}

test("the request has the members of the API, and no other", async () => {
  const api = new Api(answer(201, role()));
  const resources = ["claims.payments", { schema: "claims", table: "people" }];
  const task = { id: "chat-4711", intent: "why did the claims rise?" };
  await vendOnce(api, { purpose: "fraud-review", resources, ttlSeconds: 900, task, approval: "ar-1" });

  expect(api.body()).toEqual({
    userToken: USER_TOKEN,
    platforms: ["warehouse"],
    purpose: "fraud-review",
    resources: [
      { schema: "claims", table: "payments" },
      { schema: "claims", table: "people" },
    ],
    expirationSeconds: 900,
    approval: { id: "ar-1" },
    task: { id: "chat-4711", intentDigest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
  });
  expect(api.asked[0]?.headers).toMatchObject({
    Authorization: `Bearer ${TOKEN}`,
    "Idempotency-Key": expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(api.lines).toEqual([VEND, RELEASE]);
});

test("a trusted agent names a person, and never both", async () => {
  const api = new Api(answer(201, role()));
  const user = { issuer: "https://idp.example.org", subject: "anna" };
  await using _ = await api.client().vend({ platform: "warehouse", user });
  expect(api.body()).toEqual({ platforms: ["warehouse"], user });
  await expect(api.client().vend({ ...WISH, user })).rejects.toThrow(TypeError);
  await expect(api.client().vend({ platform: "warehouse" })).rejects.toThrow(TypeError);
  await expect(api.client().vend({ ...WISH, platform: [] })).rejects.toThrow(TypeError);
  await expect(api.client().vend({ ...WISH, resources: ["people"] })).rejects.toThrow("schema.table");
});

test("the role is released once, and also after an error", async () => {
  const api = new Api(answer(201, role()));
  await expect(
    api.client().withRole(WISH, async (open) => {
      expect(open.name).toBe("IMMUTA_VENDED_FINBOT_E10442_0HJ9X");
      expect(open.remainingSeconds).toBeGreaterThan(800);
      expect(await open.release()).toBe(true);
      expect(open.remainingSeconds).toBe(0);
      throw new Error("of the work");
    }),
  ).rejects.toThrow("of the work");
  expect(api.lines).toEqual([VEND, RELEASE]);
});

test("a release that fails hides no other error, and a role that is gone is released", async () => {
  await vendOnce(new Api(answer(201, role()), problem(404, "NotFound")));
  const api = new Api(answer(201, role()), ...Array(50).fill(NOT_CONNECTED));
  const work = api.client().withRole(WISH, () => Promise.reject(new Error("of the work")));
  await expect(work).rejects.toThrow("of the work");
});

test("no password and no token is shown", async () => {
  const api = new Api(answer(201, role()));
  const rolevend = api.client();
  await using open = await rolevend.vend(WISH);
  for (const shown of [open, rolevend]) {
    for (const text of [inspect(shown, { depth: 9, showHidden: true }), JSON.stringify(shown)]) {
      expect(text).not.toContain(PASSWORD);
      expect(text).not.toContain(TOKEN);
    }
  }
  expect(open.credential()).toMatchObject({ password: PASSWORD });
});

test.each([
  [problem(401, "TokenExpired", { field: "userToken" }), Refused],
  [problem(403, "NoPolicy", { missing: MISSING }), Denied],
  [problem(404, "NotFound"), NotFound],
  [problem(409, "Ended"), Conflict],
  [problem(422, "Invalid", { field: "platforms.0" }), InvalidInput],
  [answer(413), InvalidInput],
  [answer(418), Unexpected],
])("a refusal is not tried again: %#", async (refusal, kind) => {
  const api = new Api(refusal);
  await expect(vendOnce(api)).rejects.toThrow(kind);
  expect(api.lines).toEqual([VEND]);
  expect(api.slept).toEqual([]);
});

test("an error names the attempt, the code and the request, and has the problem", async () => {
  const api = new Api(problem(403, "NoPolicy", { detail: "nothing is granted", missing: MISSING }));
  const error = await vendOnce(api).catch((reason) => reason);
  expect(error).toBeInstanceOf(Denied);
  expect(error.message).toBe("cannot vend a role on warehouse: NoPolicy: nothing is granted (request r-1)");
  expect([error.code, error.detail, error.requestId, error.missing]).toEqual(["NoPolicy", "nothing is granted", "r-1", MISSING]);
});

test.each([403, 422, 429, 500])("a problem whose members have other types is an error like others: %i", async (status) => {
  const strange = { code: ["x"], detail: 7, title: null, field: {}, requestId: [], missing: "a text of older versions" };
  const error = await vendOnce(new Api(answer(status, strange, { "retry-after": "600" }), ...Array(2).fill(answer(201, role())))).catch(
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(RolevendError);
  expect([error.code, error.requestId, error.missing, error.problem.field]).toEqual(["", "", undefined, undefined]);
  expect(denied(error)).toContain("status");
});

test("a login that does not suffice is in the error", async () => {
  const challenge = 'Bearer error="insufficient_user_authentication", acr_values="mfa \\"x\\"", max_age="300"';
  const error = await vendOnce(new Api(problem(401, "LoginTooWeak", {}, { "www-authenticate": challenge }))).catch((reason) => reason);
  expect(error.neededLogin).toEqual({ acrValues: ["mfa", '"x"'], longestAgeSeconds: 300 });
});

test("all tries have one idempotency key, and wait as the API says", async () => {
  const date = { date: "Wed, 21 Oct 2026 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2026 07:28:07 GMT" };
  const api = new Api(
    problem(503, "ProfileBuilding", {}, { "retry-after": "2" }),
    problem(429, "TooManyCalls", {}, date),
    LOST,
    problem(409, "Ended"),
    answer(201, role()),
  );
  await vendOnce(api);
  expect(api.slept.slice(0, 2)).toEqual([2, 7]);
  expect(api.slept.every((seconds) => seconds >= 0.05)).toBe(true);
  const keys = api.asked.slice(0, 5).map((request) => request.headers["Idempotency-Key"]);
  expect(new Set(keys).size).toBe(1);
  expect(api.lines).toEqual([VEND, VEND, VEND, VEND, VEND, RELEASE]);
});

test("the tries end with the patience, with the last error", async () => {
  const api = new Api(...Array(99).fill(problem(503, "PlatformUnreachable", {}, { "retry-after": "3" })));
  const error = await api
    .client({ patienceSeconds: 10 })
    .vend(WISH)
    .catch((reason) => reason);
  expect(error).toBeInstanceOf(Unavailable);
  expect([error.retryAfter, error.code, api.asked.length]).toEqual([3, "PlatformUnreachable", 4]);
  const busy = new Api(problem(429, "TooManyRoles", {}, { "retry-after": "60" }));
  await expect(vendOnce(busy)).rejects.toThrow(TooManyRequests);
});

test("a vend whose answer is lost leaves no role", async () => {
  const api = new Api(LOST, LOST, LOST, answer(201, role()), answer(204));
  await expect(api.client({ patienceSeconds: 0.001 }).vend(WISH)).rejects.toThrow(Unavailable);
  const tries = api.lines.filter((line) => line === VEND).length;
  expect(tries).toBeGreaterThan(1);
  expect(api.lines.at(-1)).toBe(RELEASE);
});

test("an answer that cannot be read gives its role back", async () => {
  const unreadable = { id: "finbot-0f3a", state: "Live" };
  const api = new Api(answer(201, unreadable), answer(201, unreadable));
  await expect(api.client().vend(WISH)).rejects.toThrow("it has no platforms");
  expect(api.lines).toEqual([VEND, VEND, RELEASE]);
  const bare = role({ platforms: [{ name: "warehouse", type: "PostgreSQL" }] });
  const without = new Api(answer(201, bare), answer(201, bare));
  await expect(without.client().vend(WISH)).rejects.toThrow("holds no credential");
  expect(without.lines).toEqual([VEND, VEND, RELEASE]);
  const timeless = new Api(answer(201, role({ expirationTimestamp: "soon" })), answer(201, role()));
  await expect(timeless.client().vend(WISH)).rejects.toThrow("its expiry is not a time");
  expect(timeless.lines).toEqual([VEND, VEND, RELEASE]);
});

test("a call that never arrived is not repeated to give something back", async () => {
  const api = new Api(NOT_CONNECTED);
  await expect(api.client({ patienceSeconds: 0.001 }).vend(WISH)).rejects.toThrow("no answer: connect ECONNREFUSED");
  expect(api.lines).toEqual([VEND]);
});

test("an abort during the vend gives the role back, and throws its reason", async () => {
  const abort = new AbortController();
  const api = new Api(
    () => {
      abort.abort(new Error("the user left"));
      return answer(201, role());
    },
    answer(201, role()),
  );
  await expect(api.client().vend({ ...WISH, signal: abort.signal })).rejects.toThrow("the user left");
  expect(api.lines).toEqual([VEND, VEND, RELEASE]);
  await expect(api.client().vend({ ...WISH, signal: abort.signal })).rejects.toThrow("the user left");
  expect(api.lines.length).toBe(3);
});

test("a later abort ends the role", async () => {
  const abort = new AbortController();
  const api = new Api(answer(201, role()));
  const open = await api.client().vend({ ...WISH, signal: abort.signal });
  abort.abort();
  await open[Symbol.asyncDispose]();
  expect(api.lines).toEqual([VEND, RELEASE]);
  await expect(open.query("SELECT 1")).rejects.toThrow(RoleEnded);
});

test("a proxy that answers instead of the API leaves open what happened", async () => {
  const api = new Api(answer(502), answer(201, role()), answer(204));
  await expect(api.client({ patienceSeconds: 0.001 }).vend(WISH)).rejects.toThrow("the answer has the status 502");
  expect(api.lines).toEqual([VEND, VEND, RELEASE]);
});

test("a proxy that refuses a repeated vend leaves open what its first try did", async () => {
  const api = new Api(LOST, answer(403), answer(201, role()), answer(204));
  await expect(api.client().vend(WISH)).rejects.toThrow(Denied);
  expect(api.lines).toEqual([VEND, VEND, VEND, RELEASE]);
  const broken = new Api(problem(500, "Internal"), answer(201, role()), answer(204));
  await expect(broken.client().vend(WISH)).rejects.toThrow(Unexpected);
  expect(broken.lines).toEqual([VEND, VEND, RELEASE]);
  const refused = new Api(LOST, problem(403, "NoPolicy"));
  await expect(refused.client().vend(WISH)).rejects.toThrow(Denied);
  expect(refused.lines).toEqual([VEND, VEND]);
});

test("an untrusted certificate is not tried again", async () => {
  const { NoAnswer } = await import("../../src/transport.js");
  const cause = Object.assign(new Error("self-signed certificate"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  const api = new Api(new NoAnswer(cause.message, false, { cause }));
  await expect(vendOnce(api)).rejects.toThrow("self-signed certificate");
  expect(api.slept).toEqual([]);
});

test.each([
  ["http://rolevend.example.org", "inTheClear"],
  ["https://user:secret@rolevend.example.org", "no user"],
  ["https://rolevend.example.org?x=1", "query"],
  ["rolevend.example.org", "must be like"],
])("the url %s is refused", (url, reason) => {
  expect(() => new Api().client({ url })).toThrow(reason);
  expect(() => new Api().client({ url })).toThrow(Misconfigured);
});

test("an agent's token that is no token is not sent", async () => {
  for (const agentToken of ["", "two words", "new\r\nline"]) {
    const api = new Api();
    await expect(api.client({ agentToken }).vend(WISH)).rejects.toThrow("empty or malformed");
    expect(api.asked).toEqual([]);
  }
});
