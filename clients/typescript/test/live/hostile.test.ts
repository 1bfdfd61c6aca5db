/** Statements that a model chooses to harm: each is an answer for the model, the role stays, and the next statement is answered. */

import { expect, test } from "vitest";
import { ForTheModel, modelTools } from "../../src/tools.js";
import { client, site, wish } from "../site.js";

const there = site();
const rolevend = client(there);

test.each([
  ["a value of 100 MB", "SELECT repeat('x', 100000000)", /The answer is long/],
  ["a copy without a bound", "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT", /The answer is long/],
  ["a program", "DO $$ BEGIN RAISE EXCEPTION 'ended' USING ERRCODE = '28P01'; END $$", /refused \(42501\)/],
  ["the end of its own session", "SELECT pg_terminate_backend(pg_backend_pid())", /57P01/],
  ["a transaction that has failed", "BEGIN; SELECT 1/0", /multiple commands/],
  ["a cursor", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", /No rows came|refused/],
  ["another role", "SET ROLE postgres", /refused/],
  ["a copy into a table", "COPY people FROM STDIN", /refused/],
  ["a NUL", "SELECT 1\0; SELECT 2", /refused \(08P01\)/],
] as const)("%s", async (_, statement, said) => {
  await using session = rolevend.session(wish(there, ["anna", "anna"]));
  const query = modelTools(session).find(({ name }) => name === "query_sql");
  const before = (await session.role()).name;
  const error = await query?.run({ statement }).catch((reason) => reason);
  expect(error).toBeInstanceOf(ForTheModel);
  expect(error.message).toMatch(said);
  expect(await query?.run({ statement: "SELECT session_user AS name" })).toBe(`name\n${before}\n(1 row)`);
});

test("half a character is no reason to stop", async () => {
  await using session = rolevend.session(wish(there, ["anna"]));
  const query = modelTools(session).find(({ name }) => name === "query_sql");
  expect(await query?.run({ statement: "SELECT '\ud800' AS text" })).toBe("text\n\ufffd\n(1 row)");
});

test("a transaction that work leaves open reaches no other statement", async () => {
  await using session = rolevend.session(wish(there, ["anna"]));
  const failing = session.withConnection(async (connection) => {
    await connection.query("BEGIN");
    await connection.query("SELECT 1/0");
  });
  await expect(failing).rejects.toMatchObject({ code: "22012" });
  expect((await session.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  await session.withConnection((connection) => connection.query("BEGIN"));
  const { rows } = await session.query("SELECT now() = statement_timestamp() AS fresh");
  expect(rows).toEqual([{ fresh: true }]);
});
