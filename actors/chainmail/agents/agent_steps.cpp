// An agent's steps in answers and errors, and texts on their way to its model.
#include <chainmail/agents/agent_core.hpp>
#include <chainmail/documents/chat_history.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <caf/message_builder.hpp>

#include <charconv>
#include <map>

namespace chainmail {

namespace {

using metadata = std::map<std::string, std::string>;

std::string text_under(const metadata& in, const char* key) {
  auto found = in.find(key);
  return found == in.end() ? std::string{} : found->second;
}

int64_t number_under(const metadata& in, const char* key) {
  auto text = text_under(in, key);
  int64_t result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

document document_of(const agent_step& step) {
  return {step.observation,
      {{"tool", step.action.name}, {"arguments", step.action.arguments},
          {"call_id", step.action.id}, {"thought", step.thought},
          {"round", std::to_string(step.round)}, {"failed", step.failed ? "true" : "false"},
          {"started", std::to_string(step.started.count())},
          {"took", std::to_string(step.took.count())}}};
}

agent_step step_of(const document& from) {
  const auto& in = from.metadata;
  agent_step result;
  result.round = static_cast<uint32_t>(number_under(in, "round"));
  result.thought = text_under(in, "thought");
  result.action = {text_under(in, "call_id"), text_under(in, "tool"), text_under(in, "arguments")};
  result.observation = from.content;
  result.failed = text_under(in, "failed") == "true";
  result.started = caf::timespan{number_under(in, "started")};
  result.took = caf::timespan{number_under(in, "took")};
  return result;
}

/// The longest beginning of at most so many bytes that ends with a whole character.
std::string_view beginning(std::string_view text, size_t most) {
  if (text.size() <= most)
    return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U)
    --most;
  return text.substr(0, most);
}

std::string as_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto [number, bytes] = first_code_point(text);
    result += number == not_utf8 ? std::string_view{"\xef\xbf\xbd"} : text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return result;
}

} // namespace

// -- steps --------------------------------------------------------------------------------

std::vector<document> documents_of(const std::vector<agent_step>& steps) {
  std::vector<document> result;
  result.reserve(steps.size());
  for (const auto& each : steps)
    result.push_back(document_of(each));
  return result;
}

std::vector<agent_step> steps_of(const values& outputs) {
  std::vector<agent_step> result;
  auto found = outputs.find("intermediate_steps");
  if (found == outputs.end())
    return result;
  if (auto* documents = std::get_if<std::vector<document>>(&found->second))
    for (const auto& each : *documents)
      result.push_back(step_of(each));
  return result;
}

caf::error with_steps(const caf::error& why, const std::vector<agent_step>& steps) {
  if (steps.empty() || why.category() != caf::type_id_v<errc>)
    return why;
  caf::message_builder context;
  context.append(sentence_of(why));
  if (auto detail = detail_of(why))
    context.append(std::move(*detail));
  for (const auto& each : steps)
    context.append(each);
  return caf::error{code_of(why), context.move_to_message()};
}

std::vector<agent_step> steps_of(const caf::error& why) {
  std::vector<agent_step> result;
  const auto& context = why.context();
  for (size_t i = 0; i < context.size(); ++i)
    if (context.match_element<agent_step>(i))
      result.push_back(context.get_as<agent_step>(i));
  return result;
}

// -- texts --------------------------------------------------------------------------------

std::string bounded_observation(std::string text, size_t most) {
  auto whole = text.size();
  if (whole <= most && is_utf8(text))
    return text;
  auto result = as_utf8(beginning(text, most));
  if (whole <= most && result.size() <= most)
    return result;
  auto note = "\n[cut: the whole has " + std::to_string(whole) + " bytes]";
  result = beginning(result, most - std::min(most, note.size()));
  return result + note;
}

caf::expected<std::vector<chat_message>> messages_of_history(const value& history) {
  if (auto* messages = std::get_if<std::vector<chat_message>>(&history))
    return *messages;
  auto turns = read_chat_history(history);
  if (!turns)
    return std::move(turns.error());
  std::vector<chat_message> result;
  auto say = [&result](const char* role, std::string& text) {
    if (text.empty())
      return;
    result.emplace_back();
    result.back().role = role;
    result.back().content = std::move(text);
  };
  say("system", turns->summary);
  for (auto& turn : turns->turns) {
    say("user", turn.human);
    say("assistant", turn.ai);
  }
  return result;
}

} // namespace chainmail
