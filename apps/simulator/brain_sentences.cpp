// Splits Markdown and plain text into sentences.

#include "brain_text.hpp"
#include "requests.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>

namespace chainmail::simulator {

namespace {

constexpr std::size_t longest_sentence = 600;
constexpr std::size_t longest_item = 300; ///< a longer list item is split into its sentences
constexpr std::size_t shortest_wrapped_line = 60;

bool has_word(std::string_view text) {
  return !next_word(text).empty();
}

bool is_fence(std::string_view line) {
  return line.starts_with("```") || line.starts_with("~~~");
}

/// The length of "- ", "* ", "+ ", "1. " or "1) " in front of a list item, or 0.
std::size_t list_marker(std::string_view line) {
  std::size_t digits = 0;
  while (digits < line.size() && digits < 4 && is_digit(line[digits]))
    ++digits;
  constexpr std::string_view bullets = "-*+";
  constexpr std::string_view enders = ".)";
  if (digits + 1 >= line.size() || line[digits + 1] != ' ')
    return 0;
  return (digits == 0 ? bullets : enders).find(line[digits]) < 3 ? digits + 2 : 0;
}

bool ends_with_abbreviation(std::string_view text) {
  auto space = text.find_last_of(" \n(");
  auto last = text.substr(space == std::string_view::npos ? 0 : space + 1);
  constexpr std::array<std::string_view, 12> known{
      "e.g.", "i.e.", "Dr.", "Mr.", "Mrs.", "Ms.", "St.", "vs.", "cf.", "No.", "Prof.", "approx."};
  return std::ranges::find(known, last) != known.end() || (last.size() == 2 && is_upper(last[0]));
}

/// Where the first sentence of `text` ends.
std::size_t sentence_end(std::string_view text) {
  for (std::size_t i = 0; i < text.size() && i < longest_sentence; ++i) {
    if (text[i] != '.' && text[i] != '!' && text[i] != '?')
      continue;
    auto end = i + 1;
    while (end < text.size() && std::string_view("\"')]*`").find(text[end]) < 6)
      ++end;
    auto next = end;
    while (next < text.size() && is_blank(text[next]))
      ++next;
    bool goes_on = next == end || (text[next] >= 'a' && text[next] <= 'z');
    if (next == text.size() || (!goes_on && !ends_with_abbreviation(text.substr(0, i + 1))))
      return end;
  }
  if (text.size() <= longest_sentence)
    return text.size();
  auto blank = text.find_last_of(" \n\t", longest_sentence);
  return blank > longest_sentence / 2 && blank < text.size()
             ? blank
             : std::max<std::size_t>(utf8_prefix(text, longest_sentence).size(), 1);
}

class reader {
public:
  explicit reader(std::string_view text) : text_(text) {}

  reading read() {
    for (std::size_t begin = 0; begin < text_.size();) {
      auto end = std::min(text_.find('\n', begin), text_.size());
      take_line(text_.substr(begin, end - begin));
      begin = end + 1;
    }
    end_paragraph();
    return std::move(result_);
  }

private:
  void take_line(std::string_view whole_line) {
    bool is_indented = whole_line.starts_with("    ") || whole_line.starts_with('\t');
    auto line = trim(whole_line);
    while (line.starts_with("Content:")) {
      end_paragraph();
      block_ = result_.sentences.size();
      heading_ = {};
      in_code_ = false;
      line = trim(line.substr(8));
    }
    if (is_fence(line)) {
      end_paragraph();
      in_code_ = !in_code_;
    } else if (!has_word(line)) {
      end_paragraph();
    } else if (in_code_ || line.starts_with('|') || (is_indented && paragraph_.empty())) {
      end_paragraph();
      add(line, false, false);
    } else if (auto level = line.find_first_not_of('#'); level > 0 && line[level] == ' ') {
      end_paragraph();
      heading_ = trim(line.substr(level));
    } else if (line.starts_with("Source:") && block_) {
      end_paragraph();
      for (auto i = *block_; i < result_.sentences.size(); ++i)
        result_.sentences[i].source = trim(line.substr(7));
      result_.has_sources = true;
      block_.reset();
    } else if (auto marker = list_marker(line); marker > 0) {
      end_paragraph();
      extend_paragraph(line.substr(marker));
      is_item_ = true;
    } else {
      // A short line before a line that begins anew is a line of its own, not a wrapped one.
      if (!paragraph_.empty() && last_line_ < shortest_wrapped_line && !is_item_ &&
          (is_upper(line[0]) || is_digit(line[0])))
        end_paragraph();
      extend_paragraph(line);
    }
  }

  void extend_paragraph(std::string_view line) {
    auto begin = paragraph_.empty() ? line.data() : paragraph_.data();
    paragraph_ = {begin, static_cast<std::size_t>(line.data() + line.size() - begin)};
    last_line_ = line.size();
  }

  void end_paragraph() {
    auto rest = paragraph_;
    if (is_item_ && rest.size() <= longest_item) {
      add(rest, true);
      rest = {};
    }
    for (bool is_first = true; !rest.empty(); is_first = false) {
      auto end = sentence_end(rest);
      add(trim(rest.substr(0, end)), is_first);
      rest = trim(rest.substr(end));
    }
    paragraph_ = {};
    is_item_ = false;
  }

  void add(std::string_view text, bool begins_paragraph, bool is_prose = true) {
    if (has_word(text) && !says_nothing(text))
      result_.sentences.push_back({text, heading_, {}, begins_paragraph, is_prose});
  }

  std::string_view text_;
  std::string_view heading_;
  std::string_view paragraph_;
  std::size_t last_line_ = 0;
  bool is_item_ = false;
  bool in_code_ = false;
  std::optional<std::size_t> block_; ///< the first sentence since "Content:"
  reading result_;
};

} // namespace

reading read_text(std::string_view text) {
  return reader(text).read();
}

std::string one_line(std::string_view text) {
  std::string result;
  for (char c : trim(text)) {
    if (!is_blank(c))
      result += c;
    else if (result.back() != ' ')
      result += ' ';
  }
  return result;
}

bool says_nothing(std::string_view text) {
  auto lower = lower_case(trim(text.substr(0, 80)));
  while (!lower.empty() && !is_word_byte(lower.back()))
    lower.pop_back();
  return lower.empty() || lower == "none" || lower == "n/a" || lower.starts_with("i don't know") ||
         lower.starts_with("i do not know") || lower.starts_with("this document does not answer");
}

bool is_asked(std::string_view text) {
  while (!text.empty() && std::string_view("\"')*` \n").find(text.back()) < 6)
    text.remove_suffix(1);
  return text.ends_with('?');
}

} // namespace chainmail::simulator
