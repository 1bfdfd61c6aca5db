// A pool of node pg, which opens its default of ten connections.
const { Pool } = require("pg");
const { ROLE_URI, ROLE_SCHEMA, ROLE_HIDDEN } = process.env;

async function main() {
  const pool = new Pool({ connectionString: ROLE_URI });
  const counted = await Promise.all(Array.from({ length: 30 }, () => pool.query("SELECT count(*)::integer AS count FROM people")));
  const size = pool.totalCount;
  const listed = await pool.query("SELECT table_name FROM information_schema.tables WHERE table_schema = $1", [ROLE_SCHEMA]);
  const read = await pool.query({ text: "SELECT id, region, ssn FROM people ORDER BY id", rowMode: "array" });
  const refusals = [];
  for (const table of ROLE_HIDDEN.split(" ")) {
    const answer = await pool.query(`SELECT * FROM ${table}`).catch((error) => error);
    refusals.push(answer instanceof Error ? answer.message : `read ${answer.rows.length} rows`);
  }
  await pool.end();
  const counts = counted.map((answer) => answer.rows[0].count);
  console.log(JSON.stringify({ tables: listed.rows.map((row) => row.table_name), rows: read.rows, refusals, pool: size, counts }));
}

main();
