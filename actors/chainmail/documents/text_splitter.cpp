// How texts are cut and put together.
#include <chainmail/documents/markdown_sections.hpp>
#include <chainmail/documents/text_splitter.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <deque>
#include <functional>

namespace chainmail {

namespace {

/// What cannot or need not be cut any further.
struct atom {
  size_t bytes;
  size_t length;
};

/// What texts are measured in: code points, or tenths of estimated tokens. The latter overstate a
/// text that is measured piece by piece, and never understate it.
class ruler {
public:
  explicit ruler(const text_splitter_options& options)
    : in_tokens_(options.tokens.has_value()),
      size_(options.chunk_size),
      overlap_(options.chunk_overlap) {
    if (!in_tokens_)
      return;
    const auto& counter = options.tokens->counter;
    auto ratio = (counter ? counter : token_counter::shared())->ratio(options.tokens->model);
    size_ = tenths(options.chunk_size, ratio);
    overlap_ = tenths(options.chunk_overlap, ratio);
  }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t overlap() const { return overlap_; }

  [[nodiscard]] size_t length(std::string_view text) const {
    return in_tokens_ ? estimate_token_tenths(text) : count_code_points(text);
  }

  /// A single space is part of the token behind it.
  [[nodiscard]] size_t gap_length(std::string_view text) const {
    return text.empty() || (in_tokens_ && text == " ") ? 0 : length(text);
  }

  [[nodiscard]] atom first_atom(std::string_view text) const {
    if (!in_tokens_)
      return {first_code_point(text).bytes, 1};
    auto piece = next_token_piece(text);
    if (piece.tenths <= size_)
      return {piece.bytes, piece.tenths};
    auto bytes = first_code_point(text).bytes;
    return {bytes, estimate_token_tenths(text.substr(0, bytes))};
  }

private:
  static size_t tenths(size_t tokens, double ratio) {
    constexpr double most = 1e15;
    return 10 * static_cast<size_t>(std::min(static_cast<double>(tokens) / ratio, most));
  }

  bool in_tokens_;
  size_t size_;
  size_t overlap_;
};

using chunk_reader = std::function<void(std::string_view chunk)>;

/// Puts pieces of one text together, in order, and reads out the chunks.
class merger {
public:
  merger(std::string_view text, const ruler& by, const chunk_reader& read)
    : text_(text), by_(by), read_(read) {}

  void add(size_t begin, size_t end, size_t length) {
    auto gap = size_t{0};
    if (!window_.empty()) {
      auto last = window_.back().end;
      gap = by_.gap_length(text_.substr(last, begin - last));
      if (total_ + gap + length > by_.size()) {
        read();
        while (!window_.empty() && (total_ > by_.overlap() || total_ + gap + length > by_.size()))
          drop_first();
      }
    }
    total_ += length + (window_.empty() ? 0 : gap);
    window_.push_back({begin, end, gap, length});
  }

  void flush() {
    if (!window_.empty())
      read();
    window_.clear();
    total_ = 0;
  }

private:
  struct piece {
    size_t begin;
    size_t end;
    /// Of the text between this piece and the one before it.
    size_t gap;
    size_t length;
  };

  void read() {
    auto begin = window_.front().begin;
    auto chunk = trimmed(text_.substr(begin, window_.back().end - begin));
    if (!chunk.empty())
      read_(chunk);
  }

  void drop_first() {
    total_ -= window_.front().length;
    window_.pop_front();
    if (!window_.empty())
      total_ -= window_.front().gap;
  }

  std::string_view text_;
  const ruler& by_;
  const chunk_reader& read_;
  std::deque<piece> window_;
  size_t total_ = 0;
};

/// Splits one text. Nests as deep as there are separators.
class cutter {
public:
  cutter(std::string_view text, const std::vector<std::string>& separators, const ruler& by,
      const chunk_reader& read)
    : text_(text), separators_(separators), by_(by), merger_(text, by, read) {}

  void cut() { cut(0, text_.size(), 0); }

private:
  void cut(size_t begin, size_t end, size_t level) {
    auto range = text_.substr(begin, end - begin);
    while (level < separators_.size() && range.find(separators_[level]) == std::string_view::npos)
      ++level;
    if (level == separators_.size())
      add(begin, end, level);
    else if (separators_[level].empty())
      cut_anywhere(begin, end);
    else
      cut_at(separators_[level], begin, end, level + 1);
    merger_.flush();
  }

  void cut_at(std::string_view separator, size_t begin, size_t end, size_t next_level) {
    auto range = text_.substr(0, end);
    while (begin <= end) {
      auto found = std::min(range.find(separator, begin), end);
      add(begin, found, next_level);
      begin = found + separator.size();
    }
  }

  void cut_anywhere(size_t begin, size_t end) {
    while (begin < end) {
      auto rest = text_.substr(begin, end - begin);
      auto [bytes, length] = by_.first_atom(rest);
      if (!trimmed(rest.substr(0, bytes)).empty())
        merger_.add(begin, begin + bytes, length);
      begin += bytes;
    }
  }

  void add(size_t begin, size_t end, size_t next_level) {
    auto piece = text_.substr(begin, end - begin);
    if (trimmed(piece).empty())
      return;
    auto length = by_.length(piece);
    if (length <= by_.size() || next_level == separators_.size())
      return merger_.add(begin, end, length);
    merger_.flush();
    cut(begin, end, next_level);
  }

  std::string_view text_;
  const std::vector<std::string>& separators_;
  const ruler& by_;
  merger merger_;
};

} // namespace

caf::error check(const text_splitter_options& options) {
  if (options.chunk_size == 0)
    return make_failure(errc::invalid_input, "a text splitter's chunk_size must be at least 1");
  if (options.chunk_overlap >= options.chunk_size)
    return make_failure(errc::invalid_input,
        "a text splitter's chunk_overlap (" + std::to_string(options.chunk_overlap) +
            ") must be smaller than its chunk_size (" + std::to_string(options.chunk_size) + ")");
  return {};
}

// -- making -------------------------------------------------------------------------

text_splitter::text_splitter(
    text_splitter_options options, std::vector<std::string> separators, bool at_headings)
  : options_(std::move(options)), separators_(std::move(separators)), at_headings_(at_headings) {
}

caf::expected<text_splitter> text_splitter::make(
    text_splitter_options options, std::vector<std::string> separators, bool at_headings) {
  if (auto error = check(options))
    return error;
  if (!std::all_of(separators.begin(), separators.end(), is_utf8))
    return make_failure(
        errc::invalid_input, "a text splitter's separators must be UTF-8: others cut characters");
  return text_splitter{std::move(options), std::move(separators), at_headings};
}

caf::expected<text_splitter> text_splitter::character(
    text_splitter_options options, std::string separator) {
  return make(std::move(options), {std::move(separator)}, false);
}

caf::expected<text_splitter> text_splitter::recursive(
    text_splitter_options options, std::vector<std::string> separators) {
  return make(std::move(options), std::move(separators), false);
}

caf::expected<text_splitter> text_splitter::markdown(text_splitter_options options) {
  return make(std::move(options), {"\n\n", "\n", " ", ""}, true);
}

caf::expected<text_splitter> text_splitter::tokens(
    std::string model, text_splitter_options options) {
  if (!options.tokens)
    options.tokens.emplace();
  options.tokens->model = std::move(model);
  return recursive(std::move(options));
}

// -- using --------------------------------------------------------------------------

std::vector<std::string> text_splitter::split_text(std::string_view text) const {
  std::vector<std::string> chunks;
  ruler by{options_};
  chunk_reader keep = [&chunks](std::string_view chunk) { chunks.emplace_back(chunk); };
  auto cut = [&](const std::string&, std::string_view section) {
    cutter{section, separators_, by, keep}.cut();
  };
  if (at_headings_)
    for_each_section(text, cut);
  else
    cut({}, text);
  return chunks;
}

std::vector<document> text_splitter::split(const std::vector<document>& documents) const {
  std::vector<document> chunks;
  ruler by{options_};
  for (const auto& whole : documents) {
    auto cut = [&](const std::string& heading, std::string_view section) {
      chunk_reader keep = [&](std::string_view chunk) {
        chunks.push_back({std::string{chunk}, whole.metadata});
        if (!heading.empty())
          chunks.back().metadata["heading"] = heading;
      };
      cutter{section, separators_, by, keep}.cut();
    };
    if (at_headings_)
      for_each_section(whole.content, cut);
    else
      cut({}, whole.content);
  }
  return chunks;
}

} // namespace chainmail
