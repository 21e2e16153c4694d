// Sliding windows with running sums, and the texts of OpenAI's headers.

#include "limits.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace chainmail::simulator {

namespace {

using std::chrono::nanoseconds;

std::string digits(std::int64_t number, std::size_t width) {
  auto text = std::to_string(number);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

struct wording {
  std::string_view type; ///< of the error, and the end of the header names
  std::string_view measure;
};

constexpr wording of_requests = {"requests", "requests per min (RPM)"};
constexpr wording of_tokens = {"tokens", "tokens per min (TPM)"};

std::optional<rate_limits::excess> excess_of(sliding_window& window, std::uint64_t amount,
    const wording& words, sliding_window::time_point now) {
  auto wait = window.time_until_fits(amount, now);
  if (wait && wait->count() == 0)
    return std::nullopt;
  auto on = " on " + std::string(words.measure) + ": Limit " + std::to_string(window.limit());
  auto requested = "Requested " + std::to_string(amount) + ". ";
  auto sentence = wait ? "Rate limit reached" + on + ", Used " + std::to_string(window.used(now)) +
                             ", " + requested + "Please try again in " + duration_text(*wait) + "."
                       : "Request too large" + on + ", " + requested + "It can never be accepted.";
  return rate_limits::excess{
      error_answer(429, sentence, words.type, {}, "rate_limit_exceeded"), wait};
}

void append_fields(std::string& fields, sliding_window& window, const wording& words,
    sliding_window::time_point now) {
  auto line = [&](std::string_view name, const std::string& text) {
    fields.append("x-ratelimit-").append(name).append("-").append(words.type);
    fields.append(": ").append(text).append("\r\n");
  };
  line("limit", std::to_string(window.limit()));
  line("remaining", std::to_string(window.limit() - window.used(now)));
  line("reset", duration_text(window.time_until_empty(now)));
}

void append_anthropic_fields(std::string& fields, sliding_window& window, std::string_view what,
    sliding_window::time_point now) {
  auto line = [&](std::string_view name, const std::string& text) {
    fields.append("anthropic-ratelimit-").append(what).append("-").append(name);
    fields.append(": ").append(text).append("\r\n");
  };
  line("limit", std::to_string(window.limit()));
  line("remaining", std::to_string(window.limit() - window.used(now)));
  line("reset", rfc3339_time(std::chrono::system_clock::now() + window.time_until_empty(now)));
}

} // namespace

// -- one window ---------------------------------------------------------------

sliding_window::sliding_window(std::uint64_t limit, nanoseconds length)
  : limit_(limit), length_(length) {
}

std::optional<nanoseconds> sliding_window::time_until_fits(std::uint64_t amount, time_point now) {
  forget(now);
  if (amount > limit_)
    return std::nullopt;
  if (amount == 0)
    return nanoseconds{0};
  auto first_kept = additions_.begin();
  if (additions_.size() >= most_additions)
    ++first_kept;
  if (auto room = limit_ - amount; added_ - gone_ > room) {
    // The sums rise, so the last addition that has to leave is found by bisection.
    auto enough = added_ - room;
    auto last = std::ranges::lower_bound(additions_, enough, {}, &addition::sum);
    first_kept = std::max(first_kept, std::next(last));
  }
  if (first_kept == additions_.begin())
    return nanoseconds{0};
  return std::prev(first_kept)->at + length_ - now;
}

void sliding_window::add(std::uint64_t amount, time_point now) {
  if (amount == 0)
    return;
  added_ += amount;
  additions_.push_back({now, added_});
}

std::uint64_t sliding_window::used(time_point now) {
  forget(now);
  return added_ - gone_;
}

nanoseconds sliding_window::time_until_empty(time_point now) {
  forget(now);
  return additions_.empty() ? nanoseconds{0} : additions_.back().at + length_ - now;
}

void sliding_window::forget(time_point now) {
  for (; !additions_.empty() && now - additions_.front().at >= length_; additions_.pop_front())
    gone_ = additions_.front().sum;
}

// -- both limits --------------------------------------------------------------

rate_limits::rate_limits(const options& opts) {
  constexpr auto longest = std::chrono::hours(24);
  if (opts.rate_window.count() <= 0 || opts.rate_window > longest)
    throw std::invalid_argument("rate_window must be from a millisecond to a day; got " +
                                std::to_string(opts.rate_window.count()) + " ms");
  if (opts.requests_per_minute > 0)
    requests_.emplace(opts.requests_per_minute, opts.rate_window);
  if (opts.tokens_per_minute > 0)
    tokens_.emplace(opts.tokens_per_minute, opts.rate_window);
}

std::optional<rate_limits::excess> rate_limits::refuse_request(time_point now) {
  return requests_ ? excess_of(*requests_, 1, of_requests, now) : std::nullopt;
}

std::optional<rate_limits::excess> rate_limits::accept(std::uint64_t tokens, time_point now) {
  if (auto refused = refuse_request(now))
    return refused;
  if (tokens_)
    if (auto refused = excess_of(*tokens_, tokens, of_tokens, now))
      return refused;
  if (requests_)
    requests_->add(1, now);
  if (tokens_)
    tokens_->add(tokens, now);
  return std::nullopt;
}

std::string rate_limits::fields(time_point now) {
  std::string result;
  if (requests_)
    append_fields(result, *requests_, of_requests, now);
  if (tokens_)
    append_fields(result, *tokens_, of_tokens, now);
  return result;
}

std::string rate_limits::anthropic_fields(time_point now) {
  std::string result;
  if (requests_)
    append_anthropic_fields(result, *requests_, "requests", now);
  if (tokens_)
    append_anthropic_fields(result, *tokens_, "tokens", now);
  return result;
}

// -- texts --------------------------------------------------------------------

std::string duration_text(nanoseconds time) {
  auto ms = std::chrono::ceil<std::chrono::milliseconds>(time).count();
  if (ms <= 0)
    return "0s";
  if (ms < 1000)
    return std::to_string(ms) + "ms";
  std::string text;
  if (auto hours = ms / 3'600'000; hours > 0)
    text += std::to_string(hours) + "h";
  if (ms >= 60'000)
    text += std::to_string(ms / 60'000 % 60) + "m";
  text += std::to_string(ms / 1000 % 60);
  if (auto rest = ms % 1000; rest > 0) {
    text += "." + digits(rest, 3);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + "s";
}

std::string http_date(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  constexpr std::array week_days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array months = {
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  auto second = ceil<seconds>(when);
  auto midnight = floor<days>(second);
  year_month_day date(midnight);
  hh_mm_ss time(second - midnight);
  return std::string(week_days.at(weekday(midnight).c_encoding())) + ", " +
         digits(static_cast<unsigned>(date.day()), 2) + " " +
         months.at(static_cast<unsigned>(date.month()) - 1) + " " +
         digits(static_cast<int>(date.year()), 4) + " " + digits(time.hours().count(), 2) + ":" +
         digits(time.minutes().count(), 2) + ":" + digits(time.seconds().count(), 2) + " GMT";
}

std::string rfc3339_time(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  auto second = ceil<seconds>(when);
  auto midnight = floor<days>(second);
  year_month_day date(midnight);
  hh_mm_ss time(second - midnight);
  return digits(static_cast<int>(date.year()), 4) + "-" +
         digits(static_cast<unsigned>(date.month()), 2) + "-" +
         digits(static_cast<unsigned>(date.day()), 2) + "T" + digits(time.hours().count(), 2) +
         ":" + digits(time.minutes().count(), 2) + ":" + digits(time.seconds().count(), 2) + "Z";
}

} // namespace chainmail::simulator
