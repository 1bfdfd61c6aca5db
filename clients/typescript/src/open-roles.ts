/**
 * The open roles of this process, and their release when it ends without disposing of them.
 *
 * - At an exit (the end of the program, `process.exit()`, an uncaught error) a worker thread releases them, and the exit waits for it.
 * - On SIGTERM and SIGINT, if the client was asked for it, they are released; then the process ends by the signal.
 * - After SIGKILL each role ends at its expiry.
 */

import process from "node:process";
import { Worker } from "node:worker_threads";
import type { Caller } from "./caller.js";

/** Seconds for the release of all roles at the exit, which blocks, and after a signal. */
const LAST_SECONDS = 3;
const SIGNAL_SECONDS = 10;
const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Anything that a signal must end: an open role, or a vend that is under way. */
export interface Endable {
  end(): Promise<unknown>;
}

interface LastCall {
  url: string;
  ca: string | undefined;
  token: string;
}

const roles = new Map<string, Caller>();
const endables = new Set<Endable>();
/** True after a signal that ends the process: nothing is vended any more, also by programs that try again. */
let isEnding = false;

export function addRole(id: string, caller: Caller): void {
  if (roles.size === 0) process.on("exit", releaseAtExit);
  roles.set(id, caller);
}

export function hasRole(id: string): boolean {
  return roles.has(id);
}

export function forgetRole(id: string): void {
  if (roles.delete(id) && roles.size === 0) process.off("exit", releaseAtExit);
}

/** End `endable` on a signal, until `removeEndable`; at once after one that ends the process. */
export function addEndable(endable: Endable): void {
  if (isEnding) {
    void endable.end();
    return;
  }
  // First, because a listener for one signal (`once`) is no longer counted after it was called.
  if (endables.size === 0) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  endables.add(endable);
}

export function removeEndable(endable: Endable): void {
  if (endables.delete(endable) && endables.size === 0) stopListening();
}

function stopListening(): void {
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  stopListening(); // a second signal ends the process at once
  isEnding = process.listenerCount(signal) === 0;
  const ended = Promise.allSettled([...endables].map((each) => each.end()));
  const late = new Promise((resolve) => setTimeout(resolve, SIGNAL_SECONDS * 1000).unref());
  void Promise.race([ended, late]).then(() => {
    if (isEnding) process.kill(process.pid, signal);
  });
}

function releaseAtExit(): void {
  const calls = [...roles].flatMap(([id, caller]) => lastCall(id, caller));
  roles.clear();
  if (calls.length === 0) return;
  const done = new Int32Array(new SharedArrayBuffer(4));
  try {
    new Worker(RELEASING, { eval: true, execArgv: [], workerData: { calls, done, milliseconds: LAST_SECONDS * 1000 } });
    Atomics.wait(done, 0, 0, LAST_SECONDS * 1000);
  } catch {
    // No thread can be started: each role ends at its expiry.
  }
}

function lastCall(id: string, caller: Caller): LastCall[] {
  try {
    const base = caller.url.href.replace(/\/$/, "");
    return [{ url: `${base}/v1/vended-roles/${encodeURIComponent(id)}`, ca: caller.ca, token: caller.tokenNow() }];
  } catch {
    return []; // without a token the role ends at its expiry
  }
}

/** The program of the thread. It is CommonJS, because a thread from a text is. */
const RELEASING = `
const { workerData: { calls, done, milliseconds } } = require("node:worker_threads");
let open = calls.length;
for (const { url, ca, token } of calls) {
  const { request } = require(url.startsWith("https:") ? "node:https" : "node:http");
  const call = request(url, { method: "DELETE", headers: { Authorization: "Bearer " + token }, timeout: milliseconds, agent: false, rejectUnauthorized: true, ...(ca ? { ca } : {}) });
  call.on("response", (response) => response.resume());
  call.on("timeout", () => call.destroy());
  call.on("error", () => {});
  call.on("close", () => {
    open -= 1;
    if (open === 0) {
      Atomics.store(done, 0, 1);
      Atomics.notify(done, 0);
    }
  });
  call.end();
}
`;
