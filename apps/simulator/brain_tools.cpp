// Matches parts of a question with tools.

#include "brain_tools.hpp"

#include "brain_schema.hpp"
#include "brain_shapes.hpp"
#include "brain_text.hpp"
#include "words.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace chainmail::simulator {

namespace {

constexpr std::size_t most_calls = 16;

// -- what a tool is about -----------------------------------------------------

/// Words that tools' descriptions share, whatever they do.
bool is_generic(std::string_view stemmed) {
  constexpr std::array<std::string_view, 36> words{"get", "current", "return", "given", "find",
      "value", "tool", "function", "use", "user", "name", "string", "number", "provide", "list",
      "information", "data", "specific", "result", "fetch", "call", "input", "output", "run", "api",
      "request", "look", "text", "question", "answer", "perform", "execute", "simple", "new", "set",
      "take"};
  return std::ranges::any_of(words, [&](auto one) { return stem(one) == stemmed; });
}

using weights = std::map<std::string, double>;

weights weights_of(const tool& what) {
  constexpr double of_name = 1;
  constexpr double of_description = 0.6;
  weights result;
  auto add = [&](const std::string& word, double weight) {
    if (word.size() > 1 && !is_stop_word(word) && !is_generic(word))
      result[word] = std::max(result[word], weight);
  };
  std::string_view rest = what.description;
  for (auto word = next_word(rest); !word.empty(); word = next_word(rest))
    if (!is_stop_word(lower_case(word)))
      add(stem(word), of_description);
  for (const auto& word : words_of_name(what.name))
    add(word, of_name);
  return result;
}

bool has_parameter(const tool& what, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(names, [&](auto name) {
    return what.parameters.find('"' + std::string(name) + '"') != std::string::npos;
  });
}

bool calculates(const tool& what) {
  auto words = words_of_name(what.name);
  return has_parameter(what, {"expression", "formula", "calculation"}) ||
         std::ranges::any_of(
             words, [](const auto& word) { return word.starts_with("calc") || word == "math"; });
}

bool searches(const tool& what) {
  auto text = lower_case(what.name + " " + what.description);
  return (text.find("search") != npos || text.find("look up") != npos ||
             text.find("lookup") != npos || text.find("wikipedia") != npos) &&
         has_parameter(what, {"query", "question", "search", "q", "input", "term", "text"});
}

/// What to do with numbers, by the words for it.
std::string_view operator_of(std::string_view step) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 12> words{
      {{"add", "+"}, {"sum", "+"}, {"total", "+"}, {"plus", "+"}, {"together", "+"},
          {"multiply", "*"}, {"product", "*"}, {"subtract", "-"}, {"difference", "-"},
          {"divide", "/"}, {"ratio", "/"}, {"compare", "-"}}};
  for (auto word = next_word(step); !word.empty(); word = next_word(step))
    for (const auto& [name, sign] : words)
      if (stem(word) == stem(name))
        return sign;
  return {};
}

// -- which tool a piece of text is for ----------------------------------------

class chooser {
public:
  explicit chooser(std::span<const tool> tools) : tools_(tools) {
    std::map<std::string, std::size_t> in_tools;
    for (const auto& one : tools)
      for (const auto& [word, weight] : words_.emplace_back(weights_of(one)))
        ++in_tools[word];
    for (const auto& [word, count] : in_tools)
      if (count > 1 && count == tools.size()) // tells nothing
        for (auto& one : words_)
          one.erase(word);
  }

  /// Null when nothing points to any.
  const tool* tool_for(std::string_view piece) const {
    constexpr double enough_to_call = 0.6;
    const tool* best = nullptr;
    double best_score = 0;
    auto for_calculators = arithmetic_of(piece)         ? 2
                           : operator_of(piece).empty() ? 0
                                                        : enough_to_call;
    for (std::size_t i = 0; i < tools_.size(); ++i) {
      auto score = score_of(piece, words_[i]) + (calculates(tools_[i]) ? for_calculators : 0);
      if (score > best_score) {
        best = &tools_[i];
        best_score = score;
      }
    }
    return best_score >= enough_to_call ? best : nullptr;
  }

  /// One that finds out about anything; null if there is none.
  const tool* search_tool() const {
    auto found = std::ranges::find_if(tools_, searches);
    return found == tools_.end() ? nullptr : &*found;
  }

private:
  static double score_of(std::string_view piece, const weights& words) {
    double score = 0;
    auto left = words;
    for (auto word = next_word(piece); !word.empty(); word = next_word(piece))
      if (auto found = left.find(stem(word)); found != left.end()) {
        score += found->second;
        left.erase(found);
      }
    return score;
  }

  std::span<const tool> tools_;
  std::vector<weights> words_;
};

// -- pieces of a question -----------------------------------------------------

/// Splits at each of the separators, outside of quotation marks.
std::vector<std::string_view> split(
    std::string_view text, std::initializer_list<std::string_view> separators) {
  std::vector<std::string_view> result;
  auto lower = lower_case(text);
  std::size_t begin = 0;
  bool is_quoted = false;
  auto take = [&](std::size_t end) {
    if (auto piece = trim(text.substr(begin, end - begin)); !piece.empty())
      result.push_back(piece);
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    is_quoted = is_quoted != (text[i] == '"');
    for (auto separator : separators)
      if (!is_quoted && i >= begin && std::string_view(lower).substr(i).starts_with(separator)) {
        take(i);
        begin = i + separator.size();
        break;
      }
  }
  take(text.size());
  return result;
}

/// What has to wait for what stands before it.
std::vector<std::string_view> steps_of(std::string_view question) {
  return split(question, {", and then ", " and then ", ". then ", "; then ", ", then ", " then ",
                             ". finally, ", ", and finally ", " after that, "});
}

struct errand {
  const tool* what = nullptr;
  std::string text;
};

/// A piece without a tool of its own belongs to the one before: it completes its call, or asks for
/// another one.
std::vector<errand> errands_of(std::string_view step, const chooser& tools) {
  std::vector<errand> result;
  for (auto piece :
      split(step, {"? ", ". ", "! ", "; ", "\n", ", and ", ", ", " and ", " as well as "})) {
    const tool* found = tools.tool_for(piece);
    // A question mark alone may end the question before.
    bool asks = is_question(result.empty() ? piece : piece.substr(0, piece.find('?')));
    if (found == nullptr && asks && text_values(piece).has_name())
      found = tools.search_tool();
    if (found != nullptr) {
      result.push_back({found, std::string(piece)});
    } else if (!result.empty()) {
      auto& last = result.back();
      bool is_another =
          text_values(piece).has_name() && !lacks_values(last.what->parameters, last.text);
      if (is_another)
        result.push_back({last.what, std::string(piece)});
      else
        last.text.append(" and ").append(piece);
    }
  }
  return result;
}

/// A later step with what it takes from the results before it: the arithmetic of their numbers, or
/// their texts.
std::string with_results(std::string_view step, std::span<const tool_result> results) {
  std::string sum;
  auto sign = operator_of(step);
  std::string texts;
  for (const auto& one : results) {
    texts += " " + one.text.substr(0, utf8_prefix(one.text, 200).size());
    if (auto number = text_values(one.text).take_number(""); number && !sign.empty()) {
      auto digits = std::to_string(*number);
      digits.erase(digits.find_last_not_of('0') + 1);
      if (digits.ends_with('.'))
        digits.pop_back();
      sum += (sum.empty() ? "" : " " + std::string(sign) + " ") + digits;
    }
  }
  if (!sum.empty())
    return sum;
  return std::string(step) + texts;
}

std::vector<tool_call> calls_of(std::string_view step, std::span<const tool> tools,
    std::span<const tool_result> results, const tool_rules& rules) {
  auto errands = errands_of(step, chooser(tools));
  if (errands.empty() && rules.must_call && !tools.empty())
    errands.push_back({&tools.front(), std::string(step)});
  std::vector<tool_call> calls;
  for (const auto& [what, text] : errands) {
    auto source = results.empty() ? text : with_results(text, results);
    text_values values(source);
    tool_call call{.name = what->name,
        .arguments = fill_schema(what->parameters, values,
            {.only_required = true, .breaks_schema = rules.breaks_schema})};
    bool is_known = std::ranges::any_of(calls, [&](const tool_call& other) {
      return other.name == call.name && other.arguments == call.arguments;
    });
    if (!is_known && calls.size() < most_calls)
      calls.push_back(std::move(call));
  }
  return calls;
}

// -- answers ------------------------------------------------------------------

/// "Paris, 3" of {"city":"Paris","days":3}.
std::string short_arguments(std::string_view json) {
  rapidjson::Document root;
  root.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  std::string result;
  if (root.HasParseError() || !root.IsObject())
    return result;
  const rapidjson::Value& object = root; // as such it is iterated without ambiguity
  for (const auto& one : object.GetObject()) {
    if (!one.value.IsString() && !one.value.IsNumber())
      continue;
    result += result.empty() ? "" : ", ";
    if (one.value.IsString())
      result.append(one.value.GetString(), one.value.GetStringLength());
    else if (one.value.IsInt64())
      result += std::to_string(one.value.GetInt64());
    else
      result += std::to_string(one.value.GetDouble());
  }
  return result;
}

} // namespace

std::vector<tool_call> choose_calls(std::string_view question, std::span<const tool> tools,
    std::span<const tool_result> results, const tool_rules& rules) {
  std::size_t done = 0;
  std::vector<tool_call> calls;
  for (auto step : steps_of(question)) {
    calls = calls_of(step, tools, results.first(done), rules);
    if (results.size() < done + calls.size()) {
      calls.erase(
          calls.begin(), calls.begin() + static_cast<std::ptrdiff_t>(results.size() - done));
      if (rules.one_at_a_time)
        calls.resize(1);
      return calls;
    }
    done += calls.size();
  }
  if (!rules.must_call)
    calls.clear();
  return calls;
}

std::string answer_from_results(std::string_view question, std::span<const tool_result> results) {
  constexpr std::size_t longest = 400;
  std::string answer;
  for (const auto& [name, arguments, text] : results) {
    auto said = one_line(text);
    if (said.size() > longest) {
      auto read = read_text(text);
      auto best = best_match(question, read.sentences);
      said = best ? one_line(read.sentences[best->index].text)
                  : std::string(utf8_prefix(said, longest)) + "...";
    }
    auto about = short_arguments(arguments);
    answer += (answer.empty() ? "" : "\n") + name + (about.empty() ? "" : " (" + about + ")") +
              ": " + (said.empty() ? "nothing" : said);
  }
  return answer;
}

} // namespace chainmail::simulator
