// chainmail's client for the interop tests: one call of a kind against OPENAI_BASE_URL, and what came
// of it as a JSON object on standard output.
//
//   chainmail-interop-client (completion|chat|stream|tools|embed) TEXT
#include <chainmail/caf/compat.hpp>
#include <chainmail/chainmail.hpp>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace chainmail;

constexpr auto patience = std::chrono::seconds(20);

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

void put(json_writer& json, const char* key, const std::string& text) {
  json.Key(key);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put(json_writer& json, const char* key, int64_t number) {
  json.Key(key);
  json.Int64(number);
}

void put(json_writer& json, const llm_result& result) {
  const auto& first = result.completions.front();
  put(json, "text", first.text);
  put(json, "finish_reason", first.finish_reason);
  put(json, "model", result.model);
  put(json, "prompt_tokens", result.usage.prompt_tokens);
  put(json, "completion_tokens", result.usage.completion_tokens);
  json.Key("calls");
  json.StartArray();
  for (const auto& call : first.tool_calls) {
    json.StartObject();
    put(json, "name", call.name);
    put(json, "arguments", call.arguments);
    json.EndObject();
  }
  json.EndArray();
}

void put(json_writer& json, const caf::error& error) {
  put(json, "error", describe(error));
}

/// What a stream brought until now.
struct streamed {
  std::string text;
  int64_t chunks = 0;
};

struct collector_state {
  collector_state(sink_actor::pointer, std::shared_ptr<streamed> where) : into(std::move(where)) {}

  sink_actor::behavior_type make_behavior() {
    return {[this](chunk_atom, const call_id&, uint32_t, const std::string& text) {
      into->text += text;
      ++into->chunks;
    }};
  }

  std::shared_ptr<streamed> into;
};

void stream(caf::scoped_actor& self, const llm_actor& llm, llm_request request, json_writer& json) {
  auto seen = std::make_shared<streamed>();
  sink_actor sink =
      self->system().spawn<caf::stateful_actor<collector_state, sink_actor::impl>>(seen);
  compat::request_within(patience, self.operator->(), llm, stream_atom_v, std::move(request), sink,
      make_context(self.operator->(), patience))
      .receive([&](const llm_result& result) { put(json, result); },
          [&](const caf::error& error) { put(json, error); });
  put(json, "streamed", seen->text);
  put(json, "chunks", seen->chunks);
}

/// Two turns: the model's calls, and its answer to what they brought.
void use_tools(
    caf::scoped_actor& self, const llm_actor& llm, llm_request request, json_writer& json) {
  request.tools = {{.name = "get_weather",
      .description = "The weather of a city",
      .parameters =
          R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"}};
  auto first = generate(self, llm, request, patience);
  if (!first)
    return put(json, first.error());
  put(json, *first);
  auto calls = first->completions.front().tool_calls;
  if (calls.empty())
    return;
  request.messages.push_back({.role = "assistant", .tool_calls = calls});
  for (const auto& call : calls)
    request.messages.push_back(
        {.role = "tool", .content = "sunny in " + call.arguments, .tool_call_id = call.id});
  auto second = generate(self, llm, request, patience);
  put(json, "answer", second ? second->text() : describe(second.error()));
}

void embed(caf::scoped_actor& self, const http_actor& http, std::string text, json_writer& json) {
  auto embedder = spawn_openai_embedder(self->system(), http, openai_options::from_environment());
  compat::request_within(patience, self.operator->(), embedder, embed_atom_v,
      embed_request{.texts = {std::move(text), "something else"}},
      make_context(self.operator->(), patience))
      .receive(
          [&](const embeddings& result) {
            put(json, "dimension", static_cast<int64_t>(result.dimension));
            put(json, "numbers", static_cast<int64_t>(result.numbers.size()));
          },
          [&](const caf::error& error) { put(json, error); });
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: chainmail-interop-client (completion|chat|stream|tools|embed) TEXT\n";
    return 2;
  }
  std::string_view kind = argv[1];
  std::string text = argv[2];
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto http = spawn_http(system);
  llm_config endpoint;
  endpoint.endpoint.api = kind == "completion" ? openai_api::completions : openai_api::chat;
  endpoint.retry.max_attempts = 1;
  auto llm = spawn_llm(system, http, endpoint);
  caf::scoped_actor self{system};
  rapidjson::StringBuffer buffer;
  json_writer json(buffer);
  json.StartObject();
  llm_request request;
  if (kind == "completion")
    request.prompts = {text};
  else
    request.messages = {{.role = "user", .content = text}};
  if (kind == "stream") {
    stream(self, llm, std::move(request), json);
  } else if (kind == "tools") {
    use_tools(self, llm, std::move(request), json);
  } else if (kind == "embed") {
    embed(self, http, text, json);
  } else if (auto result = generate(self, llm, std::move(request), patience)) {
    put(json, *result);
  } else {
    put(json, result.error());
  }
  json.EndObject();
  std::cout << buffer.GetString() << '\n';
  return EXIT_SUCCESS;
}
