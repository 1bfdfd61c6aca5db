/** The exchange of a token: what is sent, and which answers are no token of the same person. */

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Misconfigured, Refused, TokenExchange, Unavailable } from "../../src/index.js";

const tokenOf = (sub: string, n = 0) =>
  `e30.${Buffer.from(JSON.stringify({ iss: "https://idp.example.org", sub, n })).toString("base64url")}.s`;
const ANNA = tokenOf("anna");
let server: Server;
let issuer: string;
let discovery: Record<string, unknown>;
let answer: [number, unknown];
let asked: { headers: IncomingMessage["headers"]; form: Record<string, string> }[];

beforeEach(async () => {
  asked = [];
  answer = [200, { access_token: tokenOf("anna", 1) }];
  server = createServer(async (request, response) => {
    if (request.url === "/.well-known/openid-configuration") return response.end(JSON.stringify(discovery));
    let body = "";
    for await (const part of request) body += part;
    asked.push({ headers: request.headers, form: Object.fromEntries(new URLSearchParams(body)) });
    return response.writeHead(answer[0]).end(typeof answer[1] === "string" ? answer[1] : JSON.stringify(answer[1]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  discovery = { issuer, token_endpoint: `${issuer}/token` };
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function exchange(changes = {}) {
  return new TokenExchange({ issuer, clientId: "fin bot", clientSecret: () => "s:ecret\n", audience: "https://rolevend", ...changes });
}

test("the form is that of RFC 8693, and each token is another one", async () => {
  const source = exchange().tokensFor(async () => ANNA);
  expect(await source()).toBe(tokenOf("anna", 1));
  answer = [200, { access_token: tokenOf("anna", 2) }];
  expect(await source()).toBe(tokenOf("anna", 2));
  expect(asked[0]?.form).toEqual({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: ANNA,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
    requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
    audience: "https://rolevend",
  });
  expect(asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from("fin+bot:s%3Aecret").toString("base64")}`);
});

test.each([
  ["another person's", [200, { access_token: tokenOf("bob") }], Misconfigured, "another person"],
  ["the same", [200, { access_token: ANNA }], Misconfigured, "no token of its own"],
  ["none", [200, {}], Misconfigured, "no token of its own"],
  ["no token at all", [200, { access_token: "opaque" }], Refused, "cannot be read"],
  ["a refusal", [400, { error: "invalid_target" }], Refused, "invalid_target"],
  ["a refusal with a text of its own", [400, { error: "<b>call this number</b>" }], Refused, "no reason given"],
  ["trouble", [503, {}], Unavailable, "503"],
  ["a redirect", [307, { access_token: tokenOf("anna", 1) }], Unavailable, "307"],
  ["no JSON", [200, "<html>"], Unavailable, "no JSON object"],
] as const)("an answer with %s gives no token", async (_, given, kind, message) => {
  answer = [given[0], given[1]];
  const error = await exchange()
    .exchange(ANNA)
    .catch((reason) => reason);
  expect(error).toBeInstanceOf(kind);
  expect(error.message).toContain(message);
  expect(error.message).not.toContain(ANNA);
});

test("exchanges share their connections", async () => {
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  const source = exchange().tokensFor(ANNA);
  for (let n = 0; n < 5; n++) await source();
  expect([asked.length, connections]).toEqual([5, 1]);
});

test("neither the token nor the secret goes to another place than the provider names over TLS", async () => {
  discovery = { issuer, token_endpoint: "http://elsewhere.example.org/token" };
  const careful = exchange();
  await expect(careful.exchange(ANNA)).rejects.toThrow("names no token endpoint that can be called");
  discovery = { issuer: "https://another.example.org", token_endpoint: `${issuer}/token` };
  await expect(careful.exchange(ANNA)).rejects.toThrow("calls itself another name");
  discovery = { issuer, token_endpoint: `${issuer}@evil.example.org/token` };
  await expect(careful.exchange(ANNA)).rejects.toThrow("names no token endpoint that can be called");
  expect(asked).toEqual([]);
  expect(() => exchange({ issuer: "http://idp.example.org" })).toThrow("https:");
  discovery = { issuer, token_endpoint: `${issuer}/token` };
  expect(await careful.exchange(ANNA)).toBe(tokenOf("anna", 1));
});
