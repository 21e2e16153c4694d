// OpenAI's own client against the simulator.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { startSimulator } from "./programs.mjs";

const hello = [{ role: "user", content: "Hello, simulator!" }];

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

async function withSimulator(options, use) {
  const simulator = await startSimulator(...options);
  try {
    await use(new OpenAI({ baseURL: simulator.url, apiKey: "sk-any", maxRetries: 0 }), simulator);
  } finally {
    simulator.stop();
  }
}

test("chat, completion, models", () =>
  withSimulator([], async (client) => {
    const chat = await client.chat.completions.create({ model: "gpt-4", messages: hello, n: 2 });
    assert.equal(chat.choices.length, 2);
    assert.equal(chat.choices[0].message.role, "assistant");
    assert.match(chat.choices[0].message.content, /Hello, simulator!/);
    assert.equal(chat.choices[0].finish_reason, "stop");
    assert.equal(chat.usage.total_tokens, chat.usage.prompt_tokens + chat.usage.completion_tokens);
    const completion = await client.completions.create({ model: "a", prompt: "Hi", max_tokens: 2 });
    assert.equal(completion.choices[0].finish_reason, "length");
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.equal(names.length, 1);
  }));

test("a stream, token by token, with its usage", () =>
  withSimulator(["--token-rate=200", "--token-jitter=0.5"], async (client) => {
    const stream = await client.chat.completions.create({
      model: "gpt-4",
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let pieces = 0;
    let reason = null;
    let usage = null;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta?.content ?? "";
      text += piece;
      pieces += piece ? 1 : 0;
      reason = chunk.choices[0]?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    const whole = await client.chat.completions.create({ model: "gpt-4", messages: hello });
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(reason, "stop");
    assert.equal(usage.completion_tokens, pieces);
  }));

test("the client's own helper puts a stream together", () =>
  withSimulator([], async (client) => {
    const runner = client.chat.completions.stream({ model: "gpt-4", messages: hello, n: 2 });
    const whole = await runner.finalChatCompletion();
    assert.equal(whole.choices.length, 2);
    assert.match(whole.choices[1].message.content, /Hello/);
  }));

test("a client that aborts its stream is seen to leave", () =>
  withSimulator(["--token-rate=5"], async (client, simulator) => {
    const stream = await client.chat.completions.create({ model: "m", messages: hello, stream: true });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break; // which aborts it
    let stats = await simulator.stats();
    for (let tries = 0; stats.streams_closed_early === 0 && tries < 100; ++tries) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      stats = await simulator.stats();
    }
    assert.equal(stats.streams_closed_early, 1);
    assert.equal(stats.streams_open, 0);
  }));

test("tools are called and answered, whole and streamed", () =>
  withSimulator([], async (client) => {
    const messages = [{ role: "user", content: "What is the weather in Paris and in Rome?" }];
    const request = { model: "gpt-4", messages, tools: [weather] };
    const first = (await client.chat.completions.create(request)).choices[0];
    assert.equal(first.finish_reason, "tool_calls");
    const cities = first.message.tool_calls.map((call) => JSON.parse(call.function.arguments).city);
    assert.deepEqual(cities, ["Paris", "Rome"]);
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    assert.deepEqual(
      streamed.choices[0].message.tool_calls.map((call) => call.function.arguments),
      first.message.tool_calls.map((call) => call.function.arguments),
    );
    messages.push(first.message);
    for (const call of first.message.tool_calls)
      messages.push({ role: "tool", tool_call_id: call.id, content: `sunny, says ${call.id}` });
    const last = (await client.chat.completions.create(request)).choices[0];
    assert.equal(last.finish_reason, "stop");
    for (const call of first.message.tool_calls) assert.ok(last.message.content.includes(call.id));
  }));

test("the client's tool runner goes through its rounds", () =>
  withSimulator([], async (client) => {
    const runner = client.chat.completions.runTools({
      model: "gpt-4",
      messages: [{ role: "user", content: "What is the weather in Oslo?" }],
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: JSON.parse,
            function: ({ city }) => `snow in ${city}`,
          },
        },
      ],
    });
    assert.match(await runner.finalContent(), /snow in Oslo/);
  }));

test("replies keep to a schema", () =>
  withSimulator([], async (client) => {
    const answer = await client.chat.completions.create({
      model: "gpt-4",
      messages: [{ role: "user", content: "Ada is 36 years old." }],
      response_format: {
        type: "json_schema",
        json_schema: {
          name: "person",
          strict: true,
          schema: {
            type: "object",
            properties: { name: { type: "string" }, age: { type: "integer" } },
            required: ["name", "age"],
            additionalProperties: false,
          },
        },
      },
    });
    assert.deepEqual(JSON.parse(answer.choices[0].message.content), { name: "Ada", age: 36 });
  }));

test("embeddings, in either encoding", () =>
  withSimulator([], async (client) => {
    const request = { model: "e", input: ["red socks", "blue socks", "tax law"], dimensions: 64 };
    const coded = (await client.embeddings.create(request)).data; // base64, unless told otherwise
    const plain = (await client.embeddings.create({ ...request, encoding_format: "float" })).data;
    assert.equal(coded.length, 3);
    assert.equal(coded[0].embedding.length, 64);
    const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
    assert.ok(Math.abs(dot(coded[0].embedding, plain[0].embedding) - 1) < 1e-3);
    assert.ok(dot(plain[0].embedding, plain[1].embedding) > dot(plain[0].embedding, plain[2].embedding));
  }));

test("errors are those that the client knows", () =>
  withSimulator(
    ["--api-key=sk-right", "--models=gpt-4", "--script=ok,ok,ok,429,500,503,reset"],
    async (client, simulator) => {
      const right = new OpenAI({ baseURL: simulator.url, apiKey: "sk-right", maxRetries: 0 });
      const ask = (who, model = "gpt-4", extra = {}) =>
        who.chat.completions.create({ model, messages: hello, ...extra });
      await assert.rejects(ask(client), OpenAI.AuthenticationError);
      await assert.rejects(ask(right, "gpt-5"), OpenAI.NotFoundError);
      await assert.rejects(ask(right, "gpt-4", { n: 0 }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, "n");
        return true;
      });
      await assert.rejects(ask(right), OpenAI.RateLimitError);
      await assert.rejects(ask(right), OpenAI.InternalServerError);
      await assert.rejects(ask(right), OpenAI.InternalServerError);
      await assert.rejects(ask(right), OpenAI.APIConnectionError);
      assert.equal((await ask(right)).choices.length, 1);
    },
  ));

test("errors in the middle of a stream reach the client", () =>
  withSimulator(["--script=error,break"], async (client) => {
    for (const kind of [OpenAI.APIError, Error]) {
      let text = "";
      await assert.rejects(async () => {
        const stream = await client.chat.completions.create({ model: "m", messages: hello, stream: true });
        for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
      }, kind);
      assert.equal(text, "This is a si"); // three tokens of four bytes
    }
  }));

test("the client's retries ride out a bad moment", () =>
  withSimulator(["--script=429,503,ok", "--retry-after=0s"], async (_, simulator) => {
    const client = new OpenAI({ baseURL: simulator.url, apiKey: "any", maxRetries: 3 });
    assert.ok(await client.chat.completions.create({ model: "m", messages: hello }));
  }));
