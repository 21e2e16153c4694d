// Putting the pieces of a stream together.
#include <chainmail/llm/stream_decoder.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <algorithm>
#include <utility>

namespace chainmail {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// How many bytes at the end begin a code point whose rest is missing.
size_t cut_bytes(std::string_view text) {
  for (size_t bytes = 1; bytes <= std::min<size_t>(text.size(), 3); ++bytes) {
    auto lead = static_cast<unsigned char>(text[text.size() - bytes]);
    if ((lead & 0xc0U) == 0x80U)
      continue;
    auto wanted = size_t{lead < 0xc2 || lead > 0xf4 ? 1U
                         : lead < 0xe0              ? 2U
                         : lead < 0xf0              ? 3U
                                                    : 4U};
    return wanted > bytes ? bytes : 0;
  }
  return 0;
}

} // namespace

stream_result::stream_result(size_t completions) : parts_(completions) {
}

// -- for decoders -------------------------------------------------------------------------

void stream_result::add_text(size_t index, std::string_view text) {
  if (text.empty())
    return;
  auto& to = parts_[index];
  std::string joined;
  if (!to.cut.empty()) {
    joined = std::exchange(to.cut, {}).append(text);
    text = joined;
  }
  auto cut = cut_bytes(text);
  to.cut = text.substr(text.size() - cut);
  append(to, text.substr(0, text.size() - cut));
}

void stream_result::append(part& to, std::string_view text) {
  if (text.empty())
    return;
  auto before = to.what.text.size();
  if (is_utf8(text)) {
    to.what.text += text;
  } else {
    for (; !text.empty();) {
      auto [number, bytes] = first_code_point(text);
      to.what.text += number == not_utf8 ? replacement : text.substr(0, bytes);
      text.remove_prefix(bytes);
    }
  }
  waiting_bytes_ += to.what.text.size() - before;
  has_output_ = true;
  if (!std::exchange(to.is_waiting, true))
    waiting_.push_back(static_cast<uint32_t>(&to - parts_.data()));
}

void stream_result::add_tool_call(size_t index, uint64_t position, std::string_view id,
    std::string_view name, std::string_view arguments) {
  auto& [what, positions, cut, taken, is_waiting] = parts_[index];
  auto& calls = what.tool_calls;
  auto i = calls.size();
  while (i > 0 && positions[i - 1] != position)
    --i;
  // Some servers give all calls the same position.
  if (i == 0 || (!id.empty() && !calls[i - 1].id.empty() && calls[i - 1].id != id)) {
    positions.push_back(position);
    calls.emplace_back();
    i = calls.size();
  }
  auto& call = calls[i - 1];
  if (call.id.empty())
    call.id = id;
  // Servers that repeat the name do so whole.
  if (call.name != name)
    call.name += name;
  call.arguments += arguments;
  has_output_ = true;
}

void stream_result::set_finish_reason(size_t index, std::string_view reason) {
  if (!reason.empty())
    parts_[index].what.finish_reason = reason;
}

// -- for those who pass the text on -----------------------------------------------------------

bool stream_result::is_complete() const {
  return is_complete_ || std::all_of(parts_.begin(), parts_.end(),
                             [](const part& x) { return !x.what.finish_reason.empty(); });
}

std::optional<stream_result::piece> stream_result::next_piece() {
  if (waiting_.empty())
    return std::nullopt;
  auto index = waiting_.front();
  waiting_.erase(waiting_.begin());
  auto& from = parts_[index];
  from.is_waiting = false;
  piece result{index, from.what.text.substr(from.taken)};
  from.taken = from.what.text.size();
  waiting_bytes_ -= result.text.size();
  return result;
}

std::string_view stream_result::taken_text(size_t index) const {
  return std::string_view{parts_[index].what.text}.substr(0, parts_[index].taken);
}

void stream_result::end_text() {
  for (auto& one : parts_)
    if (!one.cut.empty())
      append(one, std::exchange(one.cut, {}));
}

llm_result stream_result::take() {
  llm_result result;
  result.completions.reserve(parts_.size());
  for (auto& one : parts_) {
    auto& added = result.completions.emplace_back(std::move(one.what));
    for (size_t i = 0; i < added.tool_calls.size(); ++i)
      if (auto& id = added.tool_calls[i].id; id.empty())
        id = "call_" + std::to_string(i);
  }
  result.usage = usage;
  result.model = std::move(model);
  return result;
}

} // namespace chainmail
