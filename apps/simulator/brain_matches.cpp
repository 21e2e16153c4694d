// Scores sentences: against a question, or against the whole text for a summary.

#include "brain_text.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <unordered_map>

namespace chainmail::simulator {

namespace {

/// What a word counts that stands in the heading, for the first sentence under it and for others, or
/// in the sentence that a pronoun points to.
constexpr double first_heading_share = 0.8;
constexpr double heading_share = 0.5;
constexpr double carried_share = 0.7;

using word_set = std::uint64_t; ///< bit i: the question's word i

/// A question's content words, at most 64, and what kind of answer it wants.
class question_words {
public:
  explicit question_words(std::string_view question) {
    auto lower = lower_case(question);
    auto has = [&lower](std::string_view cue) { return lower.find(cue) < lower.size(); };
    wants_number = has("how many") || has("how much") || has("how long") || has("how old");
    wants_year = has("when ") || has("what year") || has("which year");
    wants_name = has("who ") || has("whose ");
    bool is_first = true;
    std::string previous;
    for (auto word = next_word(question); !word.empty(); word = next_word(question)) {
      auto stemmed = stem(word);
      if (!is_stop_word(lower_case(word.substr(0, 16))) && ids_.size() < 64) {
        auto id = ids_.emplace(stemmed, ids_.size()).first->second;
        if (is_upper(word[0]) && !is_first)
          names |= word_set{1} << id;
      }
      if (!is_first)
        pairs_.emplace(pair_of(previous, stemmed), std::min<std::size_t>(pairs_.size(), 63));
      previous = std::move(stemmed);
      is_first = false;
    }
  }

  struct found {
    word_set words = 0;
    word_set pairs = 0; ///< two words that follow each other, as in the question
  };

  found find_in(std::string_view text) const {
    found result;
    std::string previous;
    bool previous_counts = false;
    for (auto word = next_word(text); !word.empty(); word = next_word(text)) {
      auto stemmed = stem(word);
      auto id = ids_.find(stemmed);
      bool counts = id != ids_.end();
      if (counts)
        result.words |= word_set{1} << id->second;
      if (counts || previous_counts)
        if (auto pair = pairs_.find(pair_of(previous, stemmed)); pair != pairs_.end())
          result.pairs |= word_set{1} << pair->second;
      previous = std::move(stemmed);
      previous_counts = counts;
    }
    return result;
  }

  std::size_t size() const { return ids_.size(); }

  bool are_all_in(word_set set) const {
    return static_cast<std::size_t>(std::popcount(set)) == ids_.size();
  }

  bool wants_number = false;
  bool wants_year = false;
  bool wants_name = false;
  word_set names = 0; ///< the capitalized words

private:
  static std::string pair_of(std::string first, std::string_view second) {
    return first.append(" ").append(second);
  }

  std::map<std::string, std::size_t> ids_;
  std::map<std::string, std::size_t> pairs_;
};

bool has_number(std::string_view text, int digits) {
  int run = 0;
  for (char c : text) {
    run = is_digit(c) ? run + 1 : 0;
    if (run >= digits)
      return true;
  }
  return false;
}

bool has_inner_capital(std::string_view text) {
  next_word(text);
  for (auto word = next_word(text); !word.empty(); word = next_word(text))
    if (is_upper(word[0]))
      return true;
  return false;
}

/// "It", "They" and the like stand for something in the sentence before.
bool begins_with_pronoun(std::string_view text) {
  constexpr std::array<std::string_view, 10> pronouns{
      "it", "its", "they", "their", "he", "his", "she", "her", "this", "these"};
  return std::ranges::find(pronouns, lower_case(next_word(text))) != pronouns.end();
}

/// The rarer a word, the more it says; one that the text lacks counts as a middling one.
std::vector<double> weights_of(const std::vector<word_set>& found, std::size_t words) {
  std::vector<double> counts(words);
  for (auto set : found)
    for (; set != 0; set &= set - 1)
      ++counts[static_cast<std::size_t>(std::countr_zero(set))];
  auto all = static_cast<double>(found.size());
  for (auto& count : counts)
    count = std::log(2 + (count > 0 ? all / count : std::sqrt(all)));
  return counts;
}

double bonus(const question_words& wanted, const sentence& one, word_set pairs, bool is_carried) {
  auto text = one.text;
  double result = one.head_start + std::min(0.15, 0.05 * std::popcount(pairs));
  if ((wanted.wants_number && has_number(text, 1)) || (wanted.wants_year && has_number(text, 4)))
    result += 0.15;
  if (wanted.wants_name && has_inner_capital(text))
    result += 0.1;
  if (is_asked(text))
    result -= 0.5; // asks, and does not answer
  else if (is_carried)
    result += 0.02;
  if (!one.is_prose)
    result -= 0.3;
  if (text.ends_with(':'))
    result -= 0.2; // announces, and does not answer
  constexpr std::size_t usual_size = 100;
  return result - 0.0001 * static_cast<double>(std::max(text.size(), usual_size) - usual_size);
}

} // namespace

std::optional<match> best_match(
    std::string_view question, const std::vector<sentence>& sentences, double least) {
  constexpr std::size_t longest_question = 4096;
  question_words wanted(question.substr(0, longest_question));
  std::vector<question_words::found> found;
  std::vector<word_set> words;
  for (const auto& one : sentences) {
    found.push_back(wanted.find_in(one.text));
    words.push_back(found.back().words);
  }
  auto weights = weights_of(words, wanted.size());
  auto weight_of = [&weights](word_set set) {
    double sum = 0;
    for (; set != 0; set &= set - 1)
      sum += weights[static_cast<std::size_t>(std::countr_zero(set))];
    return sum;
  };
  auto whole = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::optional<match> best;
  std::string_view heading;
  word_set in_heading = 0;
  word_set carried = 0;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const auto& one = sentences[i];
    bool is_under_heading = one.heading.data() != heading.data();
    if (is_under_heading) {
      heading = one.heading;
      in_heading = wanted.find_in(heading).words;
    }
    bool follows_question = i > 0 && is_asked(sentences[i - 1].text);
    bool is_carried = follows_question || (!one.begins_paragraph && begins_with_pronoun(one.text));
    carried = is_carried ? carried : 0;
    auto own = words[i];
    auto score = weight_of(own) + carried_share * weight_of(carried & ~own) +
                 (is_under_heading && one.is_prose ? first_heading_share : heading_share) *
                     weight_of(in_heading & ~own & ~carried);
    score /= std::max(whole, 1e-9);
    auto seen = own | carried | in_heading;
    if (wanted.names != 0 && (seen & wanted.names) == 0)
      score *= 0.6; // about somebody else
    carried |= own;
    auto rank = score + bonus(wanted, one, found[i].pairs, is_carried);
    if (is_under_heading && one.is_prose && wanted.are_all_in(in_heading))
      rank += 0.25; // the heading is what is asked about
    if (score >= least - 1e-9 && (!best || rank > best->rank))
      best = {i, score, rank};
  }
  return best;
}

std::string central_sentences(std::string_view text, std::size_t most) {
  constexpr std::size_t longest_summary = 500;
  auto sentences = read_text(text).sentences;
  std::unordered_map<std::string, double> counts;
  std::vector<std::vector<double*>> words(sentences.size());
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    auto rest = sentences[i].text;
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest))
      if (!is_stop_word(lower_case(word.substr(0, 16)))) {
        auto& count = counts[stem(word)];
        ++count;
        words[i].push_back(&count);
      }
  }
  std::vector<match> ranked;
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    double sum = 0;
    for (const auto* count : words[i])
      sum += std::log(1 + *count);
    auto rank = sum / (static_cast<double>(words[i].size()) + 5);
    if (is_asked(sentences[i].text))
      rank /= 2;
    if (!sentences[i].is_prose)
      rank /= 4;
    ranked.push_back({i, 0, i == 0 ? rank * 1.3 : rank});
  }
  std::ranges::stable_sort(ranked, std::greater{}, &match::rank);
  most = std::min(most, 1 + sentences.size() / 4);
  std::vector<std::size_t> chosen;
  std::size_t size = 0;
  for (const auto& one : ranked) {
    bool is_repeated = std::ranges::any_of(chosen,
        [&](std::size_t other) { return sentences[other].text == sentences[one.index].text; });
    size += is_repeated ? 0 : sentences[one.index].text.size();
    if (chosen.size() == most || (size > longest_summary && !chosen.empty()))
      break;
    if (!is_repeated)
      chosen.push_back(one.index);
  }
  std::ranges::sort(chosen);
  std::string result;
  for (auto index : chosen)
    result.append(result.empty() ? "" : " ").append(one_line(sentences[index].text));
  return result;
}

} // namespace chainmail::simulator
