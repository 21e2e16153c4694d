// Reading the text protocol line by line.
#include <chainmail/agents/react_text.hpp>
#include <chainmail/agents/tool_arguments.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <utility>

namespace chainmail {

namespace {

using std::string_view;

constexpr string_view code_fence = "```";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_same_word(string_view x, string_view y) {
  return std::ranges::equal(x, y, {}, lower, lower);
}

bool skip(string_view& text, string_view word) {
  if (!is_same_word(text.substr(0, word.size()), word))
    return false;
  text.remove_prefix(word.size());
  return true;
}

void skip_any(string_view& text, string_view characters) {
  text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
}

string_view without(string_view text, string_view characters) {
  skip_any(text, characters);
  text.remove_suffix(text.size() - (text.find_last_not_of(characters) + 1));
  return text;
}

// -- tools by name ------------------------------------------------------------------------

constexpr string_view decoration = " \t\r\n\"'`*_[]<>.,;:";

const tool_description* find_tool(string_view name, const std::vector<tool_description>& tools) {
  for (const auto& tool : tools)
    if (tool.name == name)
      return &tool;
  for (const auto& tool : tools)
    if (is_same_word(tool.name, name))
      return &tool;
  auto bare = without(name, decoration);
  return bare.size() == name.size() || bare.empty() ? nullptr : find_tool(bare, tools);
}

/// "search(socks)", as a call of a function.
struct written_call {
  string_view name;
  string_view input;
};

written_call as_function(string_view text) {
  text = without(text, " \t\r\n`*");
  auto open = text.find('(');
  if (open == string_view::npos || !text.ends_with(')'))
    return {text, {}};
  return {text.substr(0, open), text.substr(open + 1, text.size() - open - 2)};
}

// -- sections -----------------------------------------------------------------------------

enum class label { thought, action, action_input, observation, final_answer };

struct section {
  label what;
  /// In the text: of its first line, and of what stands behind the label.
  size_t begin;
  size_t body_begin;
  string_view body;
};

class section_reader {
public:
  section_reader(string_view text, const std::vector<tool_description>& tools)
    : text_(text), tools_(tools) {}

  std::vector<section> read() {
    auto last_fence = last_paired_fence();
    std::vector<section> result{{label::thought, 0, 0, {}}};
    auto is_fenced = false;
    auto close = [&](size_t end) {
      auto& last = result.back();
      last.body = text_.substr(last.body_begin, end - last.body_begin);
    };
    for (size_t at = 0; at < text_.size();) {
      auto end = std::min(text_.find('\n', at), text_.size());
      auto line = text_.substr(at, end - at);
      auto rest = line;
      if (!is_fenced && read_label(rest)) {
        close(at);
        result.push_back({label_, at, end - rest.size(), {}});
      }
      if (at <= last_fence && last_fence != string_view::npos && fences_in(line) % 2 == 1)
        is_fenced = !is_fenced;
      at = end + 1;
    }
    close(text_.size());
    return result;
  }

private:
  static size_t fences_in(string_view line) {
    size_t count = 0;
    for (auto at = line.find(code_fence); at != string_view::npos;
         at = line.find(code_fence, at + 3))
      ++count;
    return count;
  }

  /// Where the last line begins that has a fence to open or close a block with; a fence that is never
  /// closed opens none.
  [[nodiscard]] size_t last_paired_fence() const {
    auto last = string_view::npos;
    auto open = string_view::npos;
    for (size_t at = 0; at < text_.size();) {
      auto end = std::min(text_.find('\n', at), text_.size());
      if (fences_in(text_.substr(at, end - at)) % 2 == 1) {
        last = open == string_view::npos ? last : at;
        open = open == string_view::npos ? at : string_view::npos;
      }
      at = end + 1;
    }
    return last;
  }

  /// Leaves of the line what stands behind the label.
  bool read_label(string_view& line) {
    auto rest = line;
    skip_any(rest, " \t*#_>");
    if (!read_word(rest) || (!rest.empty() && is_letter(rest.front())))
      return false;
    skip_any(rest, " \t*_0123456789");
    if (!skip_separator(rest) && !needs_no_separator(rest))
      return false;
    skip_any(rest, "*_");
    line = rest;
    return true;
  }

  static bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

  bool read_word(string_view& rest) {
    if (skip(rest, "thought"))
      label_ = label::thought;
    else if (skip(rest, "observation"))
      label_ = label::observation;
    else if (skip(rest, "final answer"))
      label_ = label::final_answer;
    else if (skip(rest, "action input") || skip(rest, "action_input"))
      label_ = label::action_input;
    else if (skip(rest, "action"))
      label_ = label::action;
    else
      return false;
    return true;
  }

  static bool skip_separator(string_view& rest) {
    return skip(rest, ":") || skip(rest, "\xef\xbc\x9a") || skip(rest, "=") || skip(rest, "- ");
  }

  [[nodiscard]] bool needs_no_separator(string_view rest) const {
    rest = trimmed(rest);
    if (rest.empty() || label_ == label::action_input)
      return true;
    return label_ == label::action && find_tool(as_function(rest).name, tools_) != nullptr;
  }

  string_view text_;
  const std::vector<tool_description>& tools_;
  label label_ = label::thought;
};

// -- calls --------------------------------------------------------------------------------

/// An action whose input may be on its way.
struct action {
  std::string name;
  std::string input;
  bool has_input = false;
};

std::string text_of(const value& what) {
  std::string result;
  append_text(result, what);
  return result;
}

/// {"action": "search", "action_input": "socks"}, or a name, or a name with its input behind it.
action read_action(string_view body, const std::vector<tool_description>& tools) {
  auto text = without_code_fences(body);
  if (auto object = values_from_json(text); object && object->contains("action")) {
    auto input = object->find("action_input");
    auto has_input = input != object->end();
    return {text_of(object->at("action")), has_input ? text_of(input->second) : "", has_input};
  }
  auto written = as_function(text);
  if (!written.input.empty() && find_tool(written.name, tools) != nullptr)
    return {std::string{written.name}, std::string{written.input}, true};
  return {std::string{text}, {}, false};
}

tool_call call_of(const action& what, const std::vector<tool_description>& tools) {
  tool_call result;
  if (const auto* tool = find_tool(what.name, tools)) {
    result.name = tool->name;
    result.arguments = arguments_from_text(what.input, tool->parameters);
  } else {
    result.name = without(what.name, decoration);
    result.arguments = what.input;
  }
  return result;
}

/// Turns sections into calls, or into the final answer.
class turn_reader {
public:
  turn_reader(string_view text, const std::vector<tool_description>& tools)
    : text_(text), tools_(tools) {}

  agent_turn read() {
    record_end_ = text_.size();
    for (const auto& part : section_reader{text_, tools_}.read())
      if (!take(part)) {
        record_end_ = part.begin;
        break;
      }
    for (const auto& each : actions_)
      if (is_same_word(without(each.name, decoration), "final answer"))
        turn_.answer = std::string{trimmed(each.input)};
      else
        turn_.calls.push_back(call_of(each, tools_));
    if (turn_.answer)
      turn_.calls.clear();
    turn_.thought = trimmed(turn_.thought);
    turn_.record = trimmed(text_.substr(0, record_end_));
    return std::move(turn_);
  }

private:
  /// False for what is not to be read any more.
  bool take(const section& part) {
    switch (part.what) {
    case label::thought:
      if (actions_.empty())
        turn_.thought += part.body;
      return actions_.empty() || trimmed(part.body).empty();
    case label::action:
      actions_.push_back(read_action(part.body, tools_));
      return true;
    case label::action_input:
      if (actions_.empty() || actions_.back().has_input)
        return actions_.empty();
      actions_.back().input = trimmed(part.body);
      actions_.back().has_input = true;
      return true;
    case label::final_answer:
      if (actions_.empty())
        turn_.answer = std::string{trimmed(text_.substr(part.body_begin))};
      return false;
    case label::observation:
      return false;
    }
    return false;
  }

  string_view text_;
  const std::vector<tool_description>& tools_;
  agent_turn turn_;
  std::vector<action> actions_;
  size_t record_end_ = 0;
};

std::string names_of(const std::vector<tool_description>& tools) {
  std::string result;
  for (const auto& tool : tools)
    result += (result.empty() ? "" : ", ") + tool.name;
  return result;
}

} // namespace

agent_turn read_react_reply(string_view text, const std::vector<tool_description>& tools) {
  auto turn = turn_reader{text, tools}.read();
  if (turn.calls.empty() && !turn.answer)
    turn.correction =
        "That was neither an action nor a final answer. Go on with\nAction: one of [" +
        names_of(tools) +
        "]\nAction Input: the input of the action\nor end with\nFinal Answer: the answer";
  return turn;
}

std::string react_instructions(const std::vector<tool_description>& tools) {
  std::string result{"Answer the question as well as you can. You can use these tools; the input "
                     "of each is a JSON "
                     "object that fits its schema:\n\n"};
  for (const auto& tool : tools)
    result += tool.name + ": " + tool.description + " Schema: " + tool.parameters + "\n";
  result += "\nUse this format:\n\n"
            "Question: the question that you must answer\n"
            "Thought: what is to be done next\n"
            "Action: the tool to use, one of [" +
            names_of(tools) +
            "]\n"
            "Action Input: the input of the tool\n"
            "Observation: what the tool answers\n"
            "... (Thought, Action, Action Input and Observation can come several times)\n"
            "Thought: I know the final answer\n"
            "Final Answer: the answer to the question\n\n"
            "Begin!\n\n";
  return result;
}

} // namespace chainmail
