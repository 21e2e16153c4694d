// Anthropic's own client against the simulator.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { startSimulator } from "./programs.mjs";

const hello = [{ role: "user", content: "Hello, simulator!" }];
const base = { model: "claude", max_tokens: 200 };
const weather = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

async function withSimulator(options, use) {
  const simulator = await startSimulator(...options);
  try {
    await use(new Anthropic({ baseURL: simulator.root, apiKey: "any", maxRetries: 0 }), simulator);
  } finally {
    simulator.stop();
  }
}

test("a message", () =>
  withSimulator([], async (client) => {
    const message = await client.messages.create({ ...base, messages: hello });
    assert.equal(message.type, "message");
    assert.match(message.content[0].text, /Hello, simulator!/);
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(message.usage.output_tokens > 0);
    const cut = await client.messages.create({ ...base, max_tokens: 1, messages: hello });
    assert.equal(cut.stop_reason, "max_tokens");
  }));

test("a stream, and what the client's helper makes of it", () =>
  withSimulator(["--token-rate=300"], async (client) => {
    let text = "";
    const stream = client.messages.stream({ ...base, messages: hello });
    stream.on("text", (piece) => (text += piece));
    const message = await stream.finalMessage();
    assert.equal(message.content[0].text, text);
    const whole = await client.messages.create({ ...base, messages: hello });
    assert.equal(whole.content[0].text, text);
    assert.equal(message.usage.output_tokens, whole.usage.output_tokens);
  }));

test("tools are used and answered, whole and streamed", () =>
  withSimulator([], async (client) => {
    const messages = [{ role: "user", content: "What is the weather in Paris and in Rome?" }];
    const request = { ...base, messages, tools: [weather] };
    const first = await client.messages.create(request);
    assert.equal(first.stop_reason, "tool_use");
    assert.deepEqual(first.content.map((block) => block.input.city), ["Paris", "Rome"]);
    const streamed = await client.messages.stream(request).finalMessage();
    assert.deepEqual(streamed.content.map((block) => block.input), first.content.map((block) => block.input));
    messages.push({ role: "assistant", content: first.content });
    messages.push({
      role: "user",
      content: first.content.map((block) => ({
        type: "tool_result",
        tool_use_id: block.id,
        content: `sunny in ${block.input.city}`,
      })),
    });
    const last = await client.messages.create(request);
    assert.equal(last.stop_reason, "end_turn");
    assert.match(last.content[0].text, /sunny in Paris[^]*sunny in Rome/);
  }));

test("errors are those that the client knows", () =>
  withSimulator(["--api-key=right", "--script=ok,429,503,error"], async (client, simulator) => {
    const right = new Anthropic({ baseURL: simulator.root, apiKey: "right", maxRetries: 0 });
    const ask = (who) => who.messages.create({ ...base, messages: hello });
    await assert.rejects(ask(client), Anthropic.AuthenticationError);
    await assert.rejects(ask(right), Anthropic.RateLimitError);
    await assert.rejects(ask(right), (error) => error.status === 529);
    await assert.rejects(right.messages.stream({ ...base, messages: hello }).finalMessage());
    assert.ok(await ask(right));
  }));
