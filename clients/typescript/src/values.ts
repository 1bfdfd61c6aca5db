/** The values of the API, under the names of its OpenAPI document. */

import { createHash } from "node:crypto";
import { isIP } from "node:net";
import type { components } from "./openapi.js";

type Schemas = components["schemas"];

export type VendedRole = Schemas["VendedRoleShown"];
export type Platform = Schemas["PlatformShown"];
export type UsablePlatform = Schemas["UsablePlatform"];
export type Credential = Schemas["Credential"];
export type KeyPairCredential = Schemas["KeyPairCredential"];
export type Explanation = Schemas["Explanation"];
export type Table = Schemas["TableShown"];
export type Column = Schemas["ColumnShown"];
export type LeftOut = Schemas["LeftOut"];
export type Decision = Schemas["Decision"];
export type Offer = Schemas["OfferShown"];
export type Missing = Schemas["MissingShown"];
export type Problem = Schemas["ProblemShown"];
export type AccessRequest = Schemas["AccessRequestShown"];
export type TableName = Schemas["TableName"];
export type AssertedUser = Schemas["UserName"];
export type VendRequest = Schemas["VendRequest"];
export type OfferRequest = Schemas["OfferRequest"];

/** A token, or a function that returns a current one. It is called before each use. */
export type TokenSource = string | (() => string | Promise<string>);

/** The task of the role. Audit events and the database's list of sessions show its id and the digest of its intent, and not the intent. */
export interface Task {
  id: string;
  intent?: string;
}

export function taskMember(task: Task | undefined): Schemas["Task"] | undefined {
  if (task === undefined) return undefined;
  const digest = task.intent === undefined ? undefined : `sha256:${createHash("sha256").update(task.intent).digest("hex")}`;
  return digest === undefined ? { id: task.id } : { id: task.id, intentDigest: digest };
}

/** Return the table that `schema.table` names. Throws TypeError for another form. */
export function tableName(table: string | TableName): TableName {
  if (typeof table !== "string") return table;
  const dot = table.indexOf(".");
  if (dot <= 0 || dot === table.length - 1) throw new TypeError(`name each table as schema.table, not ${table}`);
  return { schema: table.slice(0, dot), table: table.slice(dot + 1) };
}

/** Return true for a loopback address. */
export function onThisMachine(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

export async function currentToken(source: TokenSource): Promise<string> {
  return typeof source === "string" ? source : await source();
}
