// Makes a follow-up question stand alone: finds what was talked about, and puts it where the
// follow-up has a pronoun, or the new thing where the question before had the old one.

#include "brain_text.hpp"
#include "words.hpp"

#include <algorithm>

namespace chainmail::simulator {

namespace {

bool is_auxiliary(std::string_view word) {
  return is_one_of(word, {"is", "are", "was", "were", "do", "does", "did", "has", "have", "had",
                             "can", "could", "will", "would", "should", "may", "might", "must"});
}

bool is_question_word(std::string_view word) {
  return is_one_of(word, {"what", "who", "whose", "where", "when", "why", "how", "which", "if"}) ||
         is_auxiliary(word);
}

/// Verbs that questions are made of; they end the name of a thing.
bool is_usual_verb(std::string_view word) {
  return is_one_of(word,
      {"work", "works", "mean", "means", "do", "make", "makes", "made", "use", "uses", "used",
          "happen", "happens", "handle", "handles", "handled", "need", "needs", "write", "wrote",
          "written", "live", "lives", "lived", "run", "runs", "know", "look", "like", "say", "says",
          "said", "explain", "describe", "compare", "want", "see", "find", "build", "built",
          "invented", "founded", "discovered", "created", "cost", "costs", "eat", "eats"});
}

struct line_token {
  std::string_view text; ///< without the punctuation around it
  std::string lower = {};
  bool ends_phrase = false;
};

std::vector<line_token> line_tokens_of(std::string_view line) {
  constexpr std::size_t most = 200;
  std::vector<line_token> result;
  while (result.size() < most && !(line = trim(line)).empty()) {
    auto size = std::min(line.find_first_of(" \t\n\r"), line.size());
    auto text = line.substr(0, size);
    line.remove_prefix(size);
    auto is_mark = [](char c) { return !is_word_byte(c); };
    auto begin = std::ranges::find_if_not(text, is_mark);
    auto end = text.size();
    while (end > 0 && is_mark(text[end - 1]))
      --end;
    if (begin == text.end())
      continue;
    auto from = static_cast<std::size_t>(begin - text.begin());
    auto word = text.substr(from, end - from);
    result.push_back({word, lower_case(word), end < text.size()});
  }
  return result;
}

std::string_view span_of(const line_token& first, const line_token& last) {
  auto end = last.text.data() + last.text.size();
  return {first.text.data(), static_cast<std::size_t>(end - first.text.data())};
}

bool is_content(const line_token& one) {
  return !is_stop_word(one.lower) && !is_usual_verb(one.lower);
}

/// Where to look for what a question is about: after "is" in "How fast is it?", after "do I run" in
/// "How do I run it?", after the verb in "Who wrote it?", at the noun in "Which tools are used?"
std::size_t start_of_subject(const std::vector<line_token>& tokens) {
  auto found =
      std::ranges::find_if(tokens, [](const auto& one) { return is_auxiliary(one.lower); });
  auto at = static_cast<std::size_t>(found - tokens.begin());
  bool asks_what = is_one_of(tokens[0].lower, {"who", "what", "which"});
  if (at == tokens.size())
    return asks_what && tokens.size() > 2 && is_content(tokens[1]) ? 2 : 0;
  if (asks_what && at > 1 && is_one_of(found->lower, {"is", "are", "was", "were"}))
    return 0;
  bool has_person = at + 1 < tokens.size() && is_one_of(tokens[at + 1].lower, {"i", "you", "we"});
  return has_person ? at + 3 : at;
}

/// The last run of capitalized words after the first word and what follows them, else the first run
/// of content words where a subject stands, with its article. May be empty.
std::string_view subject_of(std::string_view question) {
  constexpr std::size_t longest_subject = 100;
  constexpr std::size_t most_words = 6;
  auto tokens = line_tokens_of(question);
  std::string_view result;
  auto take_run = [&](std::size_t first) {
    auto last = first;
    while (!tokens[last].ends_phrase && last + 1 < tokens.size() && last - first + 1 < most_words &&
           is_content(tokens[last + 1]))
      ++last;
    bool has_article =
        first > 0 && is_one_of(tokens[first - 1].lower, {"the", "a", "an", "my", "our", "your"});
    result = span_of(tokens[has_article ? first - 1 : first], tokens[last]);
    return last;
  };
  for (std::size_t i = 1; i < tokens.size(); ++i)
    if (is_upper(tokens[i].text[0]) && is_content(tokens[i]))
      i = take_run(i);
  if (result.empty() && !tokens.empty())
    for (auto from : {start_of_subject(tokens), std::size_t{0}})
      for (auto i = from; i < tokens.size() && result.empty(); ++i)
        if (is_content(tokens[i]))
          take_run(i);
  if (result.ends_with("'s"))
    result.remove_suffix(2);
  return result.size() <= longest_subject ? result : std::string_view{};
}

/// What a pronoun is to be replaced with; empty: it is none, or stands for nothing.
std::string replacement(
    const std::vector<line_token>& tokens, std::size_t at, std::string_view subject) {
  const auto& word = tokens[at].lower;
  bool is_last = at + 1 == tokens.size() || tokens[at].ends_phrase;
  auto next = is_last ? std::string_view{} : std::string_view{tokens[at + 1].lower};
  if (is_one_of(word, {"it", "they", "them", "he", "she", "him"}))
    return std::string(subject);
  if (is_one_of(word, {"it's", "he's", "she's"}))
    return std::string(subject) + " is";
  if (is_one_of(word, {"its", "their", "his", "hers"}) ||
      (word == "her" && !is_last && !is_stop_word(next)))
    return std::string(subject) + "'s";
  if (word == "her" || (is_one_of(word, {"this", "that", "these", "those"}) &&
                           (is_last || is_auxiliary(next) || is_usual_verb(next))))
    return std::string(subject);
  if (word == "there" && is_last)
    return "in " + std::string(subject);
  return {};
}

/// The follow-up with the subject in place of its pronouns; empty if it has none.
std::string with_subject(std::string_view follow_up, std::string_view subject) {
  std::string result;
  auto tokens = line_tokens_of(follow_up);
  auto at = follow_up.data();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    auto instead = replacement(tokens, i, subject);
    if (instead.empty())
      continue;
    result.append(at, tokens[i].text.data()).append(instead);
    at = tokens[i].text.data() + tokens[i].text.size();
  }
  if (!result.empty())
    result.append(at, follow_up.data() + follow_up.size());
  return result;
}

std::string as_question(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

/// Takes "And", "What about" and the like off the front.
bool drop_opening(std::string_view& follow_up) {
  bool is_dropped = false;
  for (std::string_view opening :
      {"and ", "but ", "so ", "ok ", "then ", "what about ", "how about "})
    if (lower_case(follow_up.substr(0, opening.size())) == opening) {
      follow_up = trim(follow_up.substr(opening.size()));
      is_dropped = true;
    }
  return is_dropped;
}

/// The question in the conversation that the follow-up follows, and what that is about.
struct topic {
  std::string_view question;
  std::string_view subject;
};

/// The last question that is no follow-up itself, else the last that has a subject.
topic topic_of(std::string_view history) {
  topic result;
  while (!history.empty()) {
    auto begin = history.rfind('\n');
    auto line = trim(history.substr(begin == std::string_view::npos ? 0 : begin + 1));
    history = history.substr(0, begin == std::string_view::npos ? 0 : begin);
    if (!line.starts_with("Human:"))
      continue;
    topic found{trim(line.substr(6)), subject_of(line.substr(6))};
    bool is_follow_up = !with_subject(found.question, "it").empty();
    if (!found.subject.empty() && (result.subject.empty() || !is_follow_up))
      result = found;
    if (!found.subject.empty() && !is_follow_up)
      break;
  }
  return result;
}

} // namespace

std::string standalone_question(std::string_view history, std::string_view follow_up) {
  auto [before, subject] = topic_of(history);
  auto rest = follow_up;
  bool was_opened = drop_opening(rest);
  if (subject.empty() || rest.empty())
    return std::string(follow_up);
  if (auto filled = with_subject(rest, subject); !filled.empty())
    return as_question(std::move(filled));
  auto tokens = line_tokens_of(rest);
  if (tokens.empty())
    return std::string(follow_up);
  bool is_phrase = tokens.size() <= 6 && !is_question_word(tokens[0].lower);
  if (was_opened && is_phrase) {
    auto at = static_cast<std::size_t>(subject.data() - before.data());
    auto instead = std::string(span_of(tokens.front(), tokens.back()));
    return std::string(before).replace(at, subject.size(), instead);
  }
  if (was_opened)
    return as_question(std::string(rest));
  if (std::ranges::all_of(tokens, [](const line_token& one) { return is_stop_word(one.lower); }))
    return std::string(span_of(tokens.front(), tokens.back())) + ", about " + std::string(subject) +
           "?";
  return std::string(follow_up);
}

} // namespace chainmail::simulator
