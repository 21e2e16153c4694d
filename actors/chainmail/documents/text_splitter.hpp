// Text splitters: long documents in chunks that fit a prompt or an embedding.
#pragma once

#include <chainmail/values.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

class token_counter;

/// Lengths in tokens instead of characters: as `counter` counts for `model` when the splitting
/// starts. Null stands for the counter of the process.
struct token_lengths {
  std::string model = {};
  std::shared_ptr<token_counter> counter = {};
};

/// How long chunks are. The defaults are LangChain's.
struct text_splitter_options {
  /// At most so much in one chunk, in characters (Unicode code points) or tokens.
  size_t chunk_size = 4000;
  /// At most so much of a chunk's end is repeated at the start of the next. The nearer it is to
  /// chunk_size, the more often the whole text is repeated.
  size_t chunk_overlap = 200;
  std::optional<token_lengths> tokens = {};
};

/// errc::invalid_input, with what to do, for a size of 0 and an overlap that is not smaller.
caf::error check(const text_splitter_options& options);

/// Cuts texts where a person would, as far as the size allows. A text falls into pieces at a
/// separator; pieces are put together again, greedily, up to chunk_size; the last pieces of a chunk
/// that together fit chunk_overlap also start the next. A chunk is a stretch of the text as it
/// stands, separators included, without blanks at its ends; pieces of blanks only are dropped. Time
/// is linear in the text and in what comes out. Text that is not UTF-8 is kept, one character a
/// byte; no UTF-8 sequence is ever cut.
class text_splitter {
public:
  // -- making: the errors are those of check(options), and of separators that are not UTF-8 --

  /// Splits at one separator. A piece that is longer than chunk_size stays whole.
  static caf::expected<text_splitter> character(
      text_splitter_options options = {}, std::string separator = "\n\n");

  /// Splits at the first of the separators that occurs, and pieces that are still too long at the
  /// ones after it. The empty separator cuts anywhere between characters, so that no chunk is too
  /// long, but for a single character of more tokens than chunk_size; without it, a piece without
  /// any separator stays whole. Nothing is repeated across such a piece's ends.
  static caf::expected<text_splitter> recursive(text_splitter_options options = {},
      std::vector<std::string> separators = {"\n\n", "\n", " ", ""});

  /// Splits at every Markdown heading (# to ######, outside fenced code blocks), then recursively.
  /// A heading starts the chunk of its text, or that of the deeper heading which directly follows.
  /// In a document's chunk, metadata "heading" is the path that it stands under: "Install > Linux";
  /// headings are cut to 100 characters there.
  static caf::expected<text_splitter> markdown(text_splitter_options options = {});

  /// Splits recursively, with lengths in the tokens of a model.
  static caf::expected<text_splitter> tokens(std::string model, text_splitter_options options = {});

  // -- using ------------------------------------------------------------------------

  [[nodiscard]] std::vector<std::string> split_text(std::string_view text) const;

  /// The chunks of all documents in order, each with a copy of its document's metadata.
  [[nodiscard]] std::vector<document> split(const std::vector<document>& documents) const;

private:
  text_splitter(
      text_splitter_options options, std::vector<std::string> separators, bool at_headings);

  static caf::expected<text_splitter> make(
      text_splitter_options options, std::vector<std::string> separators, bool at_headings);

  text_splitter_options options_;
  std::vector<std::string> separators_;
  bool at_headings_;
};

} // namespace chainmail
