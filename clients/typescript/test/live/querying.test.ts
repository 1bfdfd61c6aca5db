/** A role on a real PostgreSQL under TLS: it reads the person's rows, and is gone afterwards. */

import { expect, test } from "vitest";
import { Denied, RoleEnded } from "../../src/index.js";
import { client, site, wish } from "../site.js";

const there = site();
const rolevend = client(there);
const REGIONS = "SELECT region, count(*)::int AS people FROM people GROUP BY region ORDER BY region";

test("a block reads the person's rows and leaves nothing", async () => {
  let ended: () => Promise<unknown>;
  {
    await using anna = await rolevend.vend(wish(there, there.anna));
    await using bob = await rolevend.vend(wish(there, there.bob));
    expect((await anna.query(REGIONS)).rows).toEqual([{ region: "EU", people: 2 }]);
    expect((await bob.query(REGIONS)).rows).toEqual([{ region: "US", people: 2 }]);
    const { rows } = await anna.query("SELECT session_user::text AS role, count(*)::int AS rows FROM people WHERE region = $1", ["EU"]);
    expect(rows).toEqual([{ role: anna.name, rows: 2 }]);
    const connection = await anna.connect();
    expect((await connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).rows).toEqual([{ ssl: true }]);
    ended = () => anna.query("SELECT 1");
  }
  await expect(ended()).rejects.toThrow(RoleEnded);
});

test("nothing is granted to a stranger", async () => {
  const denied = rolevend.vend({ platform: there.platform, userToken: "eve" });
  await expect(denied).rejects.toThrow(Denied);
});
