/** Answers of servers that are broken or hostile. */

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { type HttpRequest, NoAnswer, transport } from "../../src/transport.js";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function asked(listener: RequestListener, request: Partial<HttpRequest> = {}): Promise<unknown> {
  const made = createServer(listener);
  server = made;
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  const send = transport(new URL(`http://127.0.0.1:${(made.address() as AddressInfo).port}`));
  return await send({ method: "GET", path: "/", headers: {}, seconds: 30, ...request }).catch((error) => error);
}

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(2 ** 20, "a");
}

test("an answer without an end is not read to its end", async () => {
  const error = await asked((_, response) => void Readable.from(endless()).pipe(response));
  expect(error).toBeInstanceOf(NoAnswer);
  expect(error).toMatchObject({ message: "the answer is larger than 64 MiB", mayHaveArrived: true });
});

test("an answer that comes slowly ends with the time for it", async () => {
  const error = await asked(
    (_, response) => {
      const timer = setInterval(() => response.write("a"), 10);
      response.on("close", () => clearInterval(timer));
    },
    { seconds: 0.2 },
  );
  expect(error).toMatchObject({ name: "Error", mayHaveArrived: true });
});

test("a redirect is not followed", async () => {
  const paths: (string | undefined)[] = [];
  const answer = await asked((request, response) => {
    paths.push(request.url);
    response.writeHead(307, { Location: "/elsewhere" }).end();
  });
  expect(answer).toMatchObject({ status: 307 });
  expect(paths).toEqual(["/"]);
});
