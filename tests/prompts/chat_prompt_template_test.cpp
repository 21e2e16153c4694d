#include <chainmail/errors.hpp>
#include <chainmail/prompts/llm_prompt.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

namespace chat_prompt_template_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const chat_prompt_template translator{{"system", "You translate into {language}."},
    messages_placeholder{"history"}, {"user", "{text}"}};

const std::vector<chat_message> history = {{"user", "Hi."}, {"assistant", "{Ciao}."}};

std::string sentence(const caf::expected<std::vector<chat_message>>& result, errc code) {
  REQUIRE_FALSE(result);
  CHECK(result.error() == code);
  return sentence_of(result.error());
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string refusal(std::vector<chat_prompt_template::part> parts) {
  try {
    chat_prompt_template{std::move(parts)};
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

} // namespace

TEST_CASE("a chat prompt is its messages, with the history where its place is") {
  auto messages =
      translator.format({{"language", "Italian"}, {"history", history}, {"text", "{x}"}});
  REQUIRE(messages);
  CHECK(*messages == std::vector<chat_message>{{"system", "You translate into Italian."},
                         {"user", "Hi."}, {"assistant", "{Ciao}."}, {"user", "{x}"}});
}

TEST_CASE("a chat prompt needs the variables of all its messages and its placeholders") {
  CHECK(translator.input_variables() == std::vector{"history"s, "language"s, "text"s});
  chat_prompt_template optional{messages_placeholder{"history", true}, {"user", "{a}{a}"}};
  CHECK(optional.input_variables() == std::vector{"a"s});
  CHECK(optional.format({{"a", "x"}})->size() == 1);
  CHECK(optional.format({{"a", "x"}, {"history", history}})->size() == 3);
}

TEST_CASE("a chat prompt is strict about its inputs") {
  values inputs{{"language", "Italian"}, {"history", history}, {"text", "x"}};
  auto more = inputs;
  more.emplace("tone", "kind");
  CHECK(contains(sentence(translator.format(more), errc::unexpected_input), "'tone'"));
  CHECK(translator.format_from(more));
  auto without = [&inputs](const char* key) {
    auto less = inputs;
    less.erase(key);
    return less;
  };
  CHECK(contains(sentence(translator.format(without("text")), errc::missing_input), "'text'"));
  CHECK(
      contains(sentence(translator.format(without("history")), errc::missing_input), "'history'"));
  inputs["history"] = "Hi.";
  CHECK(contains(sentence(translator.format(inputs), errc::invalid_input), "'history' is no chat"));
  inputs["history"] = history;
  inputs["text"] = history;
  CHECK(contains(sentence(translator.format(inputs), errc::invalid_input), "'text'"));
}

TEST_CASE("a partial fills a variable in every message that has it") {
  chat_prompt_template prompt{{"system", "{name} is kind."}, {"user", "Hi {name}, {text}"}};
  auto filled = prompt.with_partial("name", "Ada");
  REQUIRE(filled);
  CHECK(filled->input_variables() == std::vector{"text"s});
  CHECK(*filled->format({{"text", "x"}}) ==
        std::vector<chat_message>{{"system", "Ada is kind."}, {"user", "Hi Ada, x"}});
  CHECK(filled->format({{"text", "x"}, {"name", "Eve"}})->front().content == "Eve is kind.");
  CHECK(prompt.with_partial("other", "x").error() == errc::unexpected_input);
}

TEST_CASE("a chat prompt that can never work is refused when it is made") {
  CHECK(contains(refusal({}), "at least one message"));
  CHECK(contains(refusal({{"human", "hi"}}), "the role 'human'"));
  CHECK(contains(refusal({{"tool", "hi"}}), "the role 'tool'"));
  CHECK(contains(refusal({messages_placeholder{"a b"}}), "'a b', which names no variable"));
  CHECK(contains(refusal({messages_placeholder{"a}{b"}}), "names no variable"));
  CHECK(contains(refusal({messages_placeholder{""}}), "names no variable"));
  CHECK(contains(refusal({messages_placeholder{"a"}, {"user", "{a}"}}), "as a variable"));
}

TEST_CASE("a prompt of either kind fills a request") {
  llm_request request;
  llm_prompt text = "Hi {name}";
  CHECK_FALSE(text.is_chat());
  CHECK(text.input_variables() == std::vector{"name"s});
  CHECK_FALSE(text.fill(request, {{"name", "Ada"}, {"other", "x"}}));
  CHECK(request.prompts == std::vector{"Hi Ada"s});
  llm_request chat;
  llm_prompt messages = translator;
  CHECK(messages.is_chat());
  CHECK(messages.fill(chat, {}) == errc::missing_input);
  CHECK_FALSE(messages.fill(chat, {{"language", "x"}, {"history", history}, {"text", "y"}}));
  CHECK(chat.messages.size() == 4);
  CHECK(chat.prompts.empty());
}

} // namespace chat_prompt_template_test
