// Documents that fit a schema, and chains that ask with chats.
#include "support/chain_fixture.hpp"

#include <chainmail/chains/conversation_chain.hpp>
#include <chainmail/chains/structured_chain.hpp>
#include <chainmail/memory/memory.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

namespace structured_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto schema =
    R"({"type":"object","properties":{"price":{"type":"number"}},"required":["price"],"additionalProperties":false})";

/// An LLM with replies in order, which remembers what it was asked.
struct chat_fixture : chain_fixture {
  std::vector<llm_request> asked;
  std::vector<scripted_reply> replies;
  llm_actor chat = spawn_scripted_llm(time.system, [this](const llm_request& request) {
    asked.push_back(request);
    return replies.at(asked.size() - 1);
  });

  ~chat_fixture() { caf::anon_send_exit(chat, caf::exit_reason::kill); }

  chain_actor structured(structured_options options = {}) {
    return spawn_structured_chain(time.system, chat, "What does {what} cost?", schema, options);
  }

  std::string document(std::vector<std::string> answers) {
    for (auto& answer : answers)
      replies.push_back({std::move(answer)});
    return text_of(run(structured(), {{"what", "tea"}}), "json");
  }
};

std::string refusal(const llm_actor& llm, caf::actor_system& system, std::string text) {
  try {
    spawn_structured_chain(system, llm, "x", std::move(text));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

} // namespace

TEST_CASE_METHOD(chat_fixture, "a structured chain gives a document that fits the schema") {
  CHECK(document({"{\"price\": 3}"}) == "{\"price\": 3}");
  REQUIRE(asked.size() == 1);
  const auto& request = asked.front();
  CHECK(request.prompts.empty());
  CHECK(request.response_schema == schema);
  REQUIRE(request.messages.size() == 2);
  CHECK(request.messages[0].role == "system");
  CHECK(contains(request.messages[0].content, schema));
  CHECK(request.messages[1] == chat_message{"user", "What does tea cost?"});
  auto description = description_of(structured());
  CHECK(description.input_keys == std::vector{"what"s});
  CHECK(description.output_keys == std::vector{"json"s});
}

TEST_CASE_METHOD(chat_fixture, "the document is found between fences and in prose") {
  CHECK(document({"Here you are:\n```json\n{\"price\":3}\n```"}) == "{\"price\":3}");
}

TEST_CASE_METHOD(chat_fixture, "an answer that does not fit goes back with what is wrong, once") {
  CHECK(document({"{\"price\":\"3\"}", "{\"price\":3}"}) == "{\"price\":3}");
  REQUIRE(asked.size() == 2);
  const auto& messages = asked[1].messages;
  REQUIRE(messages.size() == 4);
  CHECK(messages[2] == chat_message{"assistant", "{\"price\":\"3\"}"});
  CHECK(messages[3].role == "user");
  CHECK(contains(messages[3].content, "/price is a string; the schema wants a number"));
  CHECK(asked[1].response_schema == schema);
}

TEST_CASE_METHOD(chat_fixture, "a second answer that does not fit is malformed, with the pointer") {
  auto said = document({"no idea", "{\"price\":3,\"tip/extra\":1}"});
  CHECK(contains(said, "malformed_response: the model's answer does not fit the JSON schema"));
  CHECK(contains(said, "has 'tip/extra', which the schema does not allow"));
  CHECK(contains(said, "(at /tip~1extra)"));
  CHECK(asked.size() == 2);
  CHECK(contains(asked[1].messages[3].content, "is no valid JSON"));
}

TEST_CASE_METHOD(
    chat_fixture, "a structured chain takes a chat prompt, and may keep the schema back") {
  replies = {{"{\"price\":3}"}};
  structured_options options;
  options.sends_schema = false;
  options.output_key = "offer";
  options.parameters.seed = 7;
  chat_prompt_template prompt{
      {"system", "You sell."}, messages_placeholder{"history"}, {"user", "{q}"}};
  auto chain = spawn_structured_chain(time.system, chat, prompt, schema, options);
  const std::vector<chat_message> history = {{"user", "Hi."}, {"assistant", "Hello."}};
  CHECK(text_of(run(chain, {{"q", "Tea?"}, {"history", history}}), "offer") == "{\"price\":3}");
  const auto& request = asked.front();
  CHECK(request.response_schema.empty());
  CHECK(request.parameters.seed == 7);
  REQUIRE(request.messages.size() == 4);
  CHECK(request.messages[0].content.starts_with("You sell.\n\nAnswer with one JSON document"));
  CHECK(request.messages[2] == history[1]);
}

TEST_CASE_METHOD(chat_fixture, "errors of the model and of the prompt are those of the chain") {
  replies = {{{}, make_failure(errc::content_filtered, "the model refused to answer")}};
  CHECK(contains(text_of(run(structured(), {{"what", "tea"}}), "json"), "content_filtered"));
  CHECK(contains(text_of(run(structured(), {}), "json"), "missing_input"));
  CHECK(asked.size() == 1);
}

TEST_CASE_METHOD(chat_fixture, "a structured chain takes no streams") {
  CHECK(contains(text_of(stream(structured(), {{"what", "tea"}}), "json"), "unsupported"));
}

TEST_CASE_METHOD(chat_fixture, "a schema that is none is refused when the chain is spawned") {
  CHECK(contains(refusal(chat, time.system, "{\"type\":1}"), "#/type names no type"));
  CHECK(contains(refusal({}, time.system, "{}"), "valid LLM actor"));
}

TEST_CASE_METHOD(chat_fixture, "an LLM chain takes a chat prompt") {
  replies = {{"Ciao."}};
  chat_prompt_template prompt{{"system", "You translate."}, {"user", "{text}"}};
  auto chain = spawn_llm_chain(time.system, chat, prompt);
  CHECK(description_of(chain).input_keys == std::vector{"text"s});
  CHECK(text_of(run(chain, {{"text", "Hi."}, {"stop", "\n"}}), "text") == "Ciao.");
  CHECK(asked.front().messages ==
        std::vector<chat_message>{{"system", "You translate."}, {"user", "Hi."}});
  CHECK(asked.front().prompts.empty());
  CHECK(asked.front().stop == std::vector{"\n"s});
  CHECK(contains(text_of(run(chain, {}), "text"), "missing_input"));
}

TEST_CASE_METHOD(chat_fixture, "a conversation with a chat prompt goes as messages") {
  replies = {{" Hello, Ada. "}, {"Ada."}};
  conversation_options options;
  options.prompt = chat_prompt_template{
      {"system", "Be kind."}, messages_placeholder{"history"}, {"user", "{input}"}};
  auto memory = spawn_buffer_memory(time.system);
  auto chain = spawn_conversation_chain(time.system, chat, memory, options);
  CHECK(text_of(run(chain, {{"input", "I am Ada."}}), "response") == "Hello, Ada.");
  CHECK(text_of(run(chain, {{"input", "Who am I?"}}), "response") == "Ada.");
  CHECK(
      asked[1].messages == std::vector<chat_message>{{"system", "Be kind."}, {"user", "I am Ada."},
                               {"assistant", "Hello, Ada."}, {"user", "Who am I?"}});
  CHECK(asked[1].stop.empty());
}

} // namespace structured_chain_test
