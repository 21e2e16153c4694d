// Server-sent events, read from pieces of a body that are cut anywhere. No I/O, no actors.
#pragma once

#include <caf/error.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace chainmail {

struct sse_event {
  /// Of its `event:` line; empty without one.
  std::string name = {};
  /// Its `data:` lines, with a line feed between two.
  std::string data = {};
};

/// Reads as the HTML standard says: lines end in CR, LF or CRLF, a byte order mark may come first,
/// comments and fields other than `event` and `data` are passed over, and so are events without data.
/// Bytes are not looked at beyond that: they may be no UTF-8.
class sse_parser {
public:
  /// May use the event up. An error ends the parsing.
  using handler = std::function<caf::error(sse_event&)>;

  /// Of one event, comments and what else is not kept aside.
  static constexpr size_t usual_limit = size_t{4} << 20U;

  explicit sse_parser(size_t max_event_bytes = usual_limit) : limit_(max_event_bytes) {}

  /// Takes the next bytes; `on_event` runs for each event that ends in them. The error is the
  /// handler's, or errc::response_too_large. Nothing is to be fed after one.
  caf::error feed(std::string_view bytes, const handler& on_event);

  /// The body has ended: an event that lacks its empty line counts. The standard drops it, but some
  /// servers end their last one so.
  caf::error end(const handler& on_event);

private:
  caf::error read_line(std::string_view line, const handler& on_event);
  caf::error dispatch(const handler& on_event);
  [[nodiscard]] caf::error too_large() const;

  size_t limit_;
  /// The beginning of a line that is not complete.
  std::string line_;
  sse_event event_;
  bool has_data_ = false;
  bool is_first_line_ = true;
  /// A line feed that comes next belongs to the carriage return before it.
  bool skips_line_feed_ = false;
};

} // namespace chainmail
