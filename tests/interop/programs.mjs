// Starts programs and servers, and waits until they answer.

import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const bin = process.env.CHAINMAIL_BIN_DIR;
if (!bin) throw new Error("CHAINMAIL_BIN_DIR is the folder of the built programs; ./run interop sets it");

/** A simulator with these options: { url, stats(), stop() }. */
export async function startSimulator(...options) {
  const child = spawn(`${bin}/chainmail-simulator`, options, { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (piece) => {
      text += piece;
      const found = text.match(/http:\S+/);
      if (found) resolve(found[0]);
    });
    child.on("exit", (code) => reject(new Error(`the simulator ended with ${code}`)));
  });
  return {
    url,
    root: url.replace(/\/v1$/, ""),
    stats: async () => (await fetch(url.replace(/\/v1$/, "/stats"))).json(),
    stop: () => child.kill(),
  };
}

/** Runs the C++ client against an endpoint: what it printed, as a JSON object. */
export async function runClient(url, ...words) {
  const environment = { ...process.env, OPENAI_BASE_URL: url, OPENAI_API_KEY: "sk-interop" };
  const child = spawn(`${bin}/chainmail-interop-client`, words, {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (piece) => (text += piece));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`the client ended with ${code}: ${text}`);
  return JSON.parse(text);
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server of others, as a process; `isUp` is asked until it answers. */
export async function startServer(command, words, environment, url) {
  const child = spawn(command, words, { env: { ...process.env, ...environment }, stdio: "ignore" });
  for (let tries = 0; ; ++tries) {
    try {
      await fetch(url);
      return { stop: () => child.kill() };
    } catch (error) {
      if (tries > 200 || child.exitCode !== null) throw error;
      await sleep(50);
    }
  }
}
