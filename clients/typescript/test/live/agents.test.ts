/** Agents of the Vercel AI SDK and of LangChain.js with scripted models: two people ask the same, and each gets their own rows. */

import { generateText, stepCountIs } from "ai";
import { createAgent } from "langchain";
import { expect, test } from "vitest";
import { rolevendTools } from "../../src/ai.js";
import type { Session } from "../../src/index.js";
import { rolevendTools as langchainTools } from "../../src/langchain.js";
import { aiModel, langchainModel } from "../programs/scripted.mjs";
import { client, site, wish } from "../site.js";

const there = site();
const rolevend = client(there);
const REGIONS = "SELECT region, count(*) AS people FROM people GROUP BY region ORDER BY region";
type Call = [string, object];

/** Return the answers of the tools to these calls, by an agent of the Vercel AI SDK. */
async function byAiSdk(session: Session, calls: Call[], options = {}): Promise<string[]> {
  const tools = rolevendTools(session, options);
  const { steps } = await generateText({ model: aiModel(...calls), tools, prompt: "How many?", stopWhen: stepCountIs(calls.length + 1) });
  return steps
    .flatMap(({ content }) => content)
    .flatMap((part) => {
      if (part.type === "tool-result") return [String(part.output)];
      return part.type === "tool-error" ? [`error: ${(part.error as Error).message}`] : [];
    });
}

async function byLangChain(session: Session, calls: Call[], options = {}): Promise<string[]> {
  const agent = createAgent({ model: langchainModel(...calls), tools: langchainTools(session, options) });
  const { messages } = await agent.invoke({ messages: [{ role: "user", content: "How many?" }] });
  return messages
    .filter((message) => message.getType() === "tool")
    .map((message) => `${(message as { status?: string }).status === "error" ? "error: " : ""}${message.content}`);
}

const KINDS = [
  ["the Vercel AI SDK", byAiSdk],
  ["LangChain.js", byLangChain],
] as const;

test.each(KINDS)("with %s two people ask the same and get their own rows", async (_, answers) => {
  for (const [of, region] of [
    [there.anna, "EU"],
    [there.bob, "US"],
  ] as const) {
    await using session = rolevend.session(wish(there, of));
    const [tables, rows, why] = await answers(session, [
      ["list_tables", {}],
      ["query_sql", { statement: REGIONS }],
      ["explain_access", {}],
    ]);
    expect(tables).toBe(
      `people: id integer, region text (one of "EU", "US"), email text, ssn text (masked: NULL); only rows where region in (${region}); ` +
        'key id\n  comment: "Everybody who is insured"\n  comment on region: "Where they live"',
    );
    expect(rows).toBe(`region,people\n${region},2\n(1 row)`);
    expect(why).toMatch(/^Role IMMUTA_VENDED_\S+ on warehouse, for \w+ through agent agents\/assistant, until /);
  }
});

test.each(KINDS)("with %s an answer is bounded, and the session goes on after each error", async (_, answers) => {
  await using session = rolevend.session(wish(there, there.anna));
  const said = await answers(
    session,
    [
      ["query_sql", { statement: "SELECT n, 'a \"quoted\", text' AS t FROM generate_series(1, 1000000) AS n" }],
      ["query_sql", { statement: "SELECT repeat('x', 600) AS wide FROM generate_series(1, 100)" }],
      ["query_sql", { statement: "SELECT 1; SELECT 2" }],
      ["query_sql", { statement: "SELECT nothing FROM people" }],
      ["query_sql", { statement: "BEGIN" }],
      ["query_sql", { statement: "SELECT NULL AS none, 9007199254740993 AS large" }],
      ["query_sql", { statement: "SAVEPOINT left_open" }],
      ["query_sql", { statement: "SELECT 1 AS one WHERE false" }],
      ["query_sql", { statement: "SELECT id FROM people", platform: "elsewhere" }],
    ],
    { maxRows: 2, maxCharacters: 1_000 },
  );
  expect(said[0]).toBe(
    'n,t\n1,"a ""quoted"", text"\n2,"a ""quoted"", text"\n(more rows were left out after 2: ask for an aggregate, or with a narrower condition)',
  );
  expect(said[1]).toMatch(/^wide\nx{600}\n\(more rows were left out after 1: the answer is long/);
  expect(said[2]).toMatch(/^error: The database refused \(42601\): cannot insert multiple commands/);
  expect(said[3]).toMatch(/^error: The database refused \(42703\): .*list_tables shows those that it reads/);
  expect(said[4]).toMatch(/^error: No rows came of that statement/);
  expect(said[5]).toBe("none,large\nNULL,9007199254740993\n(1 row)");
  expect(said[6]).toMatch(/^error: The database refused \(25P01\): .*only be used in transaction blocks/); // BEGIN was rolled back
  expect(said[7]).toBe("one\n(0 rows)");
  expect(said[8]).toMatch(/^error: .*(no platform elsewhere|schema)/s);
});

test.each(KINDS)("with %s a denial is an answer for the model, and says what is missing", async (_, answers) => {
  await using session = rolevend.session({ platform: there.platform, userToken: there.eve });
  for (const call of [
    ["list_tables", {}],
    ["query_sql", { statement: "SELECT 1" }],
  ] satisfies Call[]) {
    const [said] = await answers(session, [call]);
    expect(said).toMatch(/^error: Access was denied \(NoPolicy\): .* Another statement does not change that; tell the person\.$/);
  }
});
