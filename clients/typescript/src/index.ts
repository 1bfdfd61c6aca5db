/** For AI agents: a separate database role for one task, on behalf of one person, from rolevend's HTTP API. */

export { AccessRequested, type WaitOptions } from "./access.js";
export type { Settings } from "./caller.js";
export { type RequestOptions, Rolevend, type VendOptions, type Who, type Wish } from "./client.js";
export * from "./errors.js";
export { type ExchangeSettings, TokenExchange } from "./exchange.js";
export { type QueryOptions, Role } from "./role.js";
export { Session, type SessionRequest } from "./session.js";
export type {
  AccessRequest,
  AssertedUser,
  Column,
  Credential,
  Decision,
  Explanation,
  KeyPairCredential,
  LeftOut,
  Missing,
  Offer,
  Platform,
  Problem,
  Table,
  TableName,
  Task,
  TokenSource,
  UsablePlatform,
  VendedRole,
} from "./values.js";
