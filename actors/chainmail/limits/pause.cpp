// When a pause begins, and how long it is.
#include <chainmail/limits/pause.hpp>

#include <algorithm>

namespace chainmail {

void pause::on_refusal(time_point sent_at, std::optional<duration> retry_after, time_point now) {
  if (retry_after) {
    auto asked = std::clamp<duration>(*retry_after, duration{0}, longest_asked_for);
    until_ = std::max(until_, now + asked);
    began_ = now;
    return;
  }
  if (sent_at < began_)
    return;
  until_ = std::max(until_, now + next_);
  next_ = std::min<duration>(next_ * 2, longest);
  began_ = now;
}

void pause::on_success(time_point sent_at) {
  if (sent_at >= began_)
    next_ = first;
}

} // namespace chainmail
