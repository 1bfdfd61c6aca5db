// Makes every call of the client, with all options and without, and says what comes of each.
import { Rolevend } from "../../dist/index.js";
import * as messages from "../../dist/messages.js";

const rolevend = new Rolevend({ url: process.env.ROLEVEND_URL, agentToken: "agents-own", patienceSeconds: 2 });
const who = { userToken: "a.b.c", platform: "warehouse" };
const all = {
  userToken: "a.b.c",
  platform: ["warehouse", "crm"],
  purpose: "fraud-review",
  resources: ["claims.people", { schema: "claims", table: "payments" }],
  allowPartial: true,
};
const offer = { userToken: "a.b.c", platform: "warehouse", offer: "domain-claims/an-offer" };
const narrowed = {
  tables: ["claims.people"],
  columns: ["ssn"],
  ttlSeconds: 600,
  purpose: "fraud-review",
  justification: "a dispute",
  ticket: "T-1",
};
const task = { id: "chat-4711", intent: "why?" };

async function vend(options) {
  const role = await rolevend.vend(options);
  if (!(role.expiresAt === undefined || role.expiresAt instanceof Date)) throw new Error("the expiry is no date");
  await role[Symbol.asyncDispose]();
  return [messages.tables(role), messages.explained(role), role.leftOut.length, typeof role.credential(role.platforms[0].name)];
}

const CALLS = {
  vend: () => vend(who),
  "vend with all": () => vend({ ...all, ttlSeconds: 60, task, approval: "ar-1" }),
  "vend for a user": () => vend({ platform: "warehouse", user: { issuer: "https://idp.example.org", subject: "anna" } }),
  decide: async () => (await rolevend.decide(who)).granted,
  "decide with all": async () => (await rolevend.decide(all)).granted,
  get: async () => (await rolevend.get("a-role")).state,
  platforms: async () => (await rolevend.platforms()).length,
  list: async () => (await rolevend.list()).length,
  release: async () => await rolevend.release("a-role"),
  requestAccess: async () => messages.stated((await rolevend.requestAccess(offer)).found),
  "requestAccess with all": async () => messages.stated((await rolevend.requestAccess({ ...offer, ...narrowed, task })).found),
  accessRequest: async () => {
    const request = await rolevend.accessRequest("a-request");
    await request.refresh();
    await request.wait(0.001);
    await request.withdraw();
    return request.state;
  },
};

const said = {};
for (const [name, call] of Object.entries(CALLS)) said[name] = await call().catch((error) => `${error.name}: ${error.message}`);
console.log(JSON.stringify(said));
