// From bytes to lines, from lines to events.
#include <chainmail/errors.hpp>
#include <chainmail/http/sse_parser.hpp>

#include <algorithm>
#include <cstring>

namespace chainmail {

namespace {

const char* find(const char* from, const char* end, char c) {
  auto* found = std::memchr(from, c, static_cast<size_t>(end - from));
  return found == nullptr ? end : static_cast<const char*>(found);
}

} // namespace

caf::error sse_parser::feed(std::string_view bytes, const handler& on_event) {
  const auto* at = bytes.data();
  const auto* end = at + bytes.size();
  if (at == end)
    return {};
  if (skips_line_feed_) {
    skips_line_feed_ = false;
    at += *at == '\n' ? 1 : 0;
  }
  const auto* line_feed = find(at, end, '\n');
  const auto* carriage_return = find(at, end, '\r');
  while (at != end) {
    if (line_feed < at)
      line_feed = find(at, end, '\n');
    if (carriage_return < at)
      carriage_return = find(at, end, '\r');
    const auto* stop = std::min(line_feed, carriage_return);
    std::string_view piece{at, static_cast<size_t>(stop - at)};
    // The line of a comment is kept until it ends, too.
    if (line_.size() + piece.size() > limit_)
      return too_large();
    if (stop == end) {
      line_ += piece;
      return {};
    }
    at = stop + 1;
    if (*stop == '\r') {
      skips_line_feed_ = at == end;
      at += at != end && *at == '\n' ? 1 : 0;
    }
    caf::error error;
    if (line_.empty()) {
      error = read_line(piece, on_event);
    } else {
      line_ += piece;
      error = read_line(line_, on_event);
      line_.clear();
    }
    if (error)
      return error;
  }
  return {};
}

caf::error sse_parser::end(const handler& on_event) {
  auto last = std::exchange(line_, {});
  if (!last.empty())
    if (auto error = read_line(last, on_event))
      return error;
  return dispatch(on_event);
}

caf::error sse_parser::read_line(std::string_view line, const handler& on_event) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (std::exchange(is_first_line_, false) && line.starts_with(byte_order_mark))
    line.remove_prefix(byte_order_mark.size());
  if (line.empty())
    return dispatch(on_event);
  auto colon = std::min(line.find(':'), line.size());
  auto field = line.substr(0, colon);
  auto content = line.substr(std::min(colon + 1, line.size()));
  if (content.starts_with(' '))
    content.remove_prefix(1);
  if (field == "data") {
    if (event_.data.size() + content.size() + 1 > limit_)
      return too_large();
    if (std::exchange(has_data_, true))
      event_.data += '\n';
    event_.data += content;
  } else if (field == "event") {
    event_.name = content;
  }
  return {};
}

caf::error sse_parser::dispatch(const handler& on_event) {
  caf::error error;
  if (std::exchange(has_data_, false))
    error = on_event(event_);
  event_.name.clear();
  event_.data.clear();
  return error;
}

caf::error sse_parser::too_large() const {
  return make_failure(errc::response_too_large,
      "an event of the stream is larger than the limit of " + std::to_string(limit_) + " bytes");
}

} // namespace chainmail
