// Servers that speak OpenAI's wire format in their own way: the shapes of their replies and streams.
#include <chainmail/llm/openai_codec.hpp>
#include <chainmail/llm/openai_options.hpp>
#include <chainmail/llm/openai_stream.hpp>
#include <chainmail/llm/openai_wire.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <string>

namespace compatible_servers_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const std::string endpoint = "http://127.0.0.1:11434/v1/chat/completions";

openai_options local_server() {
  openai_options result;
  result.base_url = "http://127.0.0.1:11434/v1";
  result.api = openai_api::chat;
  result.defaults.model = "llama3.2";
  return result;
}

const openai_options options = local_server();

caf::expected<llm_result> decoded(std::string body) {
  http_response response;
  response.status = 200;
  response.body = std::move(body);
  return decode({openai_api::chat, {}, 1}, response, endpoint, options);
}

/// What a stream adds up to, read a byte at a time.
caf::expected<llm_result> streamed(std::string_view bytes) {
  usage_option usage = usage_option::unknown;
  openai_stream_call call;
  call.expected.api = openai_api::chat;
  call.endpoint = &endpoint;
  call.options = &options;
  call.usage = &usage;
  auto decoder = make_openai_stream_decoder(std::move(call));
  stream_result result{1};
  sse_parser parser;
  auto on_event = [&](sse_event& event) { return decoder->read(event, result); };
  for (size_t i = 0; i < bytes.size(); ++i)
    if (auto error = parser.feed(bytes.substr(i, 1), on_event))
      return error;
  if (auto error = parser.end(on_event))
    return error;
  CHECK(result.is_complete());
  auto whole = result.take();
  if (auto error = decoder->finish({}, whole))
    return error;
  return whole;
}

} // namespace

TEST_CASE("a local server is reached by its base URL and a model alone, without a key") {
  CHECK_FALSE(check(options));
  llm_request request;
  request.prompts = {"Why is the sky blue?"};
  auto call = encode(request, options);
  REQUIRE(call);
  CHECK(call->body ==
        R"({"model":"llama3.2","messages":[{"role":"user","content":"Why is the sky blue?"}]})");
  auto post = openai_endpoint(options, "/chat/completions").post(call->body, {});
  CHECK(post.url == endpoint);
  REQUIRE(post.secrets.lines());
  CHECK(*post.secrets.lines() == std::vector{"Content-Type: application/json"s});
}

TEST_CASE("Ollama's replies are read") {
  auto result = decoded(
      R"({"id":"chatcmpl-471","object":"chat.completion","created":1764300000,"model":"llama3.2",)"
      R"("system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"role":"assistant",)"
      R"("content":"","tool_calls":[{"id":"call_k2","index":0,"type":"function","function":)"
      R"({"name":"weather","arguments":"{\"city\":\"Rome\"}"}}]},"finish_reason":"tool_calls"}],)"
      R"("usage":{"prompt_tokens":26,"completion_tokens":9,"total_tokens":35}})");
  REQUIRE(result);
  CHECK(result->completions[0].tool_calls ==
        std::vector<tool_call>{{"call_k2", "weather", R"({"city":"Rome"})"}});
  CHECK(result->usage.total_tokens == 35);
}

TEST_CASE("Ollama's streams are read, whose tool calls come whole and whose usage is missing") {
  auto result = streamed(
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"llama3.2\","
      "\"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
      "\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_1\",\"index\":0,\"type\":"
      "\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Rome\\\"}"
      "\""
      "}}]},\"finish_reason\":null}]}\n\n"
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"llama3.2\","
      "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
      "\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n");
  REQUIRE(result);
  CHECK(result->completions[0].tool_calls ==
        std::vector<tool_call>{{"call_1", "weather", R"({"city":"Rome"})"}});
  CHECK(result->usage.total_tokens == 0);
}

TEST_CASE("llama.cpp's replies are read, with timings and without an id of a tool call") {
  auto result = decoded(
      R"({"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant",)"
      R"("reasoning_content":"Hm.","content":"Because of Rayleigh.","tool_calls":)"
      R"([{"type":"function","function":{"name":"look","arguments":"{}"},"id":""}]}}],)"
      R"("created":1764300000,"model":"gpt-3.5-turbo","system_fingerprint":"b6000-1a2b3c4d",)"
      R"("object":"chat.completion","id":"chatcmpl-x","__verbose":{"index":0},)"
      R"("timings":{"prompt_n":5,"prompt_ms":31.5,"predicted_per_second":40.1}})");
  REQUIRE(result);
  CHECK(result->text() == "Because of Rayleigh.");
  CHECK(result->completions[0].tool_calls == std::vector<tool_call>{{"call_0", "look", "{}"}});
  CHECK(result->usage.total_tokens == 0);
}

TEST_CASE("llama.cpp's streams are read, with comments that keep them alive and CRLFs") {
  auto result = streamed(
      ": keep-alive\r\n\r\n"
      "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\","
      "\"content\":null}}],\"created\":1764300000,\"id\":\"chatcmpl-x\",\"model\":\"m\","
      "\"system_fingerprint\":\"b6000\",\"object\":\"chat.completion.chunk\"}\r\n\r\n:\r\n\r\n"
      "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"Ray\"}}]}"
      "\r\n\r\n"
      "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\"leigh\"}}]}"
      "\r\n\r\n: keep-alive\r\n\r\n"
      "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}],"
      "\"timings\":{\"prompt_n\":1}}\r\n\r\ndata: [DONE]\r\n\r\n");
  REQUIRE(result);
  CHECK(result->text() == "Rayleigh");
  CHECK(result->completions[0].finish_reason == "stop");
}

TEST_CASE("vLLM's replies are read, full of nulls") {
  auto result = decoded(
      R"({"id":"chatcmpl-9","object":"chat.completion","created":1764300000,"model":"qwen",)"
      R"("choices":[{"index":0,"message":{"role":"assistant","content":"Hi.","refusal":null,)"
      R"("annotations":null,"audio":null,"function_call":null,"tool_calls":[],)"
      R"("reasoning_content":null},"logprobs":null,"finish_reason":"stop","stop_reason":null,)"
      R"("token_ids":null}],"service_tier":null,"system_fingerprint":null,"usage":)"
      R"({"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,"prompt_tokens_details":null},)"
      R"("prompt_logprobs":null,"kv_transfer_params":null})");
  REQUIRE(result);
  CHECK(result->text() == "Hi.");
  CHECK(result->completions[0].tool_calls.empty());
  CHECK(result->usage.prompt_tokens == 9);
}

TEST_CASE("the least that a server may say is enough") {
  auto result = decoded(R"({"choices":[{"message":{"content":"Hi."}}]})");
  REQUIRE(result);
  CHECK(result->text() == "Hi.");
  auto stream =
      streamed("data: {\"choices\":[{\"delta\":{\"content\":\"Hi.\"}}]}\n\ndata: [DONE]\n");
  REQUIRE(stream);
  CHECK(stream->text() == "Hi.");
}

} // namespace compatible_servers_test
