/** The types: what a program may write, and what the compiler refuses. */

import type pg from "pg";
import { expectTypeOf, test } from "vitest";
import { type Denied, type Missing, type Role, RoleEnded, Rolevend, type VendOptions } from "../../src/index.js";
import type { components } from "../../src/openapi.js";

declare const rolevend: Rolevend;
declare const role: Role;

test("a vend takes the names of the API", () => {
  rolevend.vend({ userToken: async () => "a.b.c", platform: ["warehouse", "crm"], resources: ["claims.people"], ttlSeconds: 60 });
  // @ts-expect-error: there is no role without a platform
  rolevend.vend({ userToken: "a.b.c" });
  // @ts-expect-error: a name that no option has
  rolevend.vend({ userToken: "a.b.c", platform: "warehouse", seconds: 60 });
  // @ts-expect-error: there is no API without a url
  new Rolevend({ agentToken: "a.b.c" });
  expectTypeOf<VendOptions["signal"]>().toEqualTypeOf<AbortSignal | undefined>();
});

test("a role can be disposed of, and its rows have a type", () => {
  expectTypeOf(role).toExtend<AsyncDisposable>();
  expectTypeOf(role.query<{ region: string }>("SELECT region FROM people")).resolves.toEqualTypeOf<pg.QueryResult<{ region: string }>>();
  expectTypeOf(role.pool()).toEqualTypeOf<pg.Pool>();
  expectTypeOf(role.expiresAt).toEqualTypeOf<Date | undefined>();
});

test("errors and values are those of the OpenAPI document", () => {
  expectTypeOf<Denied["missing"]>().toEqualTypeOf<components["schemas"]["MissingShown"] | undefined>();
  expectTypeOf<Missing["offers"]>().toEqualTypeOf<components["schemas"]["MissingShown"]["offers"]>();
  expectTypeOf(new RoleEnded("", "Expired", new Date()).reason).toEqualTypeOf<"Expired" | "Released" | "Revoked">();
});
