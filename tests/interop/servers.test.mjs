// chainmail's client against servers of others that speak OpenAI's wire format. mock-llm leaves out what
// is optional: no usage, no creation time, no index of a choice (and one of its own packages: uuid).

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { LLMock } from "@copilotkit/aimock";
import { freePort, runClient, startServer } from "./programs.mjs";

async function withAimock(prepare, use) {
  const mock = new LLMock({ port: await freePort(), latency: 20, chunkSize: 8 });
  prepare(mock);
  await mock.start();
  try {
    await use(`${mock.url}/v1`, mock);
  } finally {
    await mock.stop();
  }
}

test("aimock: chat, stream and embeddings", () =>
  withAimock(
    (mock) => mock.onMessage("hello", { content: "Hi there, this is a reply of some length." }),
    async (url) => {
      const chat = await runClient(url, "chat", "hello");
      assert.equal(chat.text, "Hi there, this is a reply of some length.");
      assert.equal(chat.finish_reason, "stop");
      assert.ok(chat.completion_tokens > 0);
      const streamed = await runClient(url, "stream", "hello");
      assert.equal(streamed.text, chat.text);
      assert.equal(streamed.streamed, chat.text);
      assert.ok(streamed.chunks > 1);
      const vectors = await runClient(url, "embed", "hello");
      assert.equal(vectors.numbers, 2 * vectors.dimension);
    },
  ));

test("aimock: tools", () =>
  withAimock(
    (mock) => {
      mock.on(
        { userMessage: "weather", hasToolResult: false },
        {
          toolCalls: [
            { name: "get_weather", arguments: '{"city":"Paris"}' },
            { name: "get_weather", arguments: '{"city":"Rome"}' },
          ],
        },
      );
      mock.on({ userMessage: "weather", hasToolResult: true }, { content: "Sunny in both." });
    },
    async (url) => {
      const used = await runClient(url, "tools", "How is the weather in Paris and Rome?");
      assert.deepEqual(used.calls.map((call) => call.arguments), ['{"city":"Paris"}', '{"city":"Rome"}']);
      assert.equal(used.finish_reason, "tool_calls");
      assert.equal(used.answer, "Sunny in both.");
    },
  ));

test("aimock: an error is told in its words", () =>
  withAimock(
    (mock) =>
      mock.onMessage("hello", {
        error: { message: "You ask too much", type: "invalid_request_error", code: "too_much" },
        status: 400,
      }),
    async (url) => {
      const failed = await runClient(url, "chat", "hello");
      assert.match(failed.error, /You ask too much/);
      assert.doesNotMatch(failed.error, /sk-interop/);
    },
  ));

test("mock-llm: chat and stream without the optional fields", async () => {
  const port = String(await freePort());
  const program = createRequire(import.meta.url).resolve("@dwmkerr/mock-llm");
  const server = await startServer(
    process.execPath,
    [program],
    { PORT: port, HOST: "127.0.0.1" },
    `http://127.0.0.1:${port}/health`,
  );
  try {
    const url = `http://127.0.0.1:${port}/v1`;
    const chat = await runClient(url, "chat", "an echo, please");
    assert.equal(chat.text, "an echo, please");
    assert.equal(chat.finish_reason, "stop");
    assert.equal(chat.completion_tokens, 0);
    const streamed = await runClient(url, "stream", "an echo, please");
    assert.equal(streamed.streamed, "an echo, please");
    assert.equal(streamed.text, "an echo, please");
    const missing = await runClient(url, "embed", "a path that it does not have");
    assert.match(missing.error, /404|Not Found/i);
  } finally {
    server.stop();
  }
});
