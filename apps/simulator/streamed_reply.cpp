// Cuts replies into tokens, and walks all choices at the same pace.

#include "streamed_reply.hpp"

#include "requests.hpp"

#include <algorithm>
#include <utility>

namespace chainmail::simulator {

namespace {

constexpr std::size_t bytes_per_token = 4;

/// Also the empty text takes a step.
std::size_t size_in_steps(std::string_view text) {
  return std::max<std::size_t>(1, static_cast<std::size_t>(estimated_tokens(text)));
}

/// Without text, the calls come at once.
std::size_t text_size_in_steps(const choice& what) {
  return what.text.empty() && !what.calls.empty() ? 0 : size_in_steps(what.text);
}

} // namespace

std::uint64_t estimated_tokens(std::string_view text) {
  return (text.size() + bytes_per_token - 1) / bytes_per_token;
}

std::string_view token_of(std::string_view text, std::size_t index) {
  auto begin = utf8_prefix(text, bytes_per_token * index).size();
  return text.substr(begin, utf8_prefix(text, bytes_per_token * (index + 1)).size() - begin);
}

streamed_reply::streamed_reply(model_reply whole) : whole_(std::move(whole)) {
  for (const auto& choice : whole_.choices) {
    auto size = text_size_in_steps(choice);
    for (const auto& call : choice.calls)
      size += size_in_steps(call.arguments);
    sizes_.push_back(size);
    steps_ = std::max(steps_, size);
  }
}

void streamed_reply::next(std::string& events) {
  if (step_ == 0)
    open(events);
  for (std::size_t i = 0; i < sizes_.size(); ++i) {
    if (step_ >= sizes_[i])
      continue;
    append(events, piece_at(i, step_));
    if (step_ + 1 == sizes_[i])
      end_choice(events, i);
  }
  if (++step_ == steps_)
    close(events);
}

streamed_reply::piece streamed_reply::piece_at(std::size_t index, std::size_t step) const {
  const auto& from = whole_.choices[index];
  piece result{.choice = index};
  auto cut = [&](std::string_view text, std::size_t size) {
    if (step >= size) {
      step -= size;
      return false;
    }
    result.text = token_of(text, step);
    result.is_first = step == 0;
    result.is_last = step + 1 == size;
    return true;
  };
  if (cut(from.text, text_size_in_steps(from)))
    return result;
  for (const auto& call : from.calls) {
    result.call = &call;
    if (cut(call.arguments, size_in_steps(call.arguments)))
      break;
    ++result.call_index;
  }
  return result;
}

} // namespace chainmail::simulator
