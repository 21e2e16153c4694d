// Reading the headers of rate limits: numbers and durations, in one pass.
#include <chainmail/http/rate_limit_headers.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>

namespace chainmail {

namespace {

/// Takes a number off the front of the text; false, and the text as it was, when there is none.
bool take_number(std::string_view& text, double& number) {
  if (text.empty() || text.front() < '0' || text.front() > '9')
    return false;
  auto [end, failed] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (failed != std::errc{})
    return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

struct unit {
  std::string_view name;
  double seconds;
};

/// Those of Go's durations, and days. A name comes before the names that it begins with.
constexpr std::array units = {unit{"ms", 1e-3}, unit{"us", 1e-6}, unit{"\u00b5s", 1e-6},
    unit{"ns", 1e-9}, unit{"d", 86'400}, unit{"h", 3'600}, unit{"m", 60}, unit{"s", 1}};

std::optional<caf::timespan> read_duration(std::string_view text) {
  constexpr double a_day = 86'400;
  double seconds = 0;
  if (!take_number(text, seconds))
    return std::nullopt;
  if (!text.empty()) {
    auto number = seconds;
    seconds = 0;
    do {
      const auto* found = units.begin();
      while (found != units.end() && !text.starts_with(found->name))
        ++found;
      if (found == units.end())
        return std::nullopt;
      text.remove_prefix(found->name.size());
      seconds += number * found->seconds;
    } while (take_number(text, number));
  }
  if (!text.empty() || !(seconds <= a_day))
    return std::nullopt;
  return std::chrono::round<caf::timespan>(std::chrono::duration<double>{seconds});
}

std::optional<int64_t> read_count(std::string_view text) {
  constexpr int64_t largest = 1'000'000'000'000;
  // The IETF's older drafts add the windows: "100, 100;w=60".
  text = text.substr(0, text.find_first_of(",;"));
  int64_t count = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failed != std::errc{} || end != text.data() + text.size() || count < 0 || count > largest)
    return std::nullopt;
  return count;
}

/// `name` without "x-ratelimit-" or "ratelimit-".
void read(std::string_view name, std::string_view text, provider_limits& into) {
  if (name == "limit-requests")
    into.request_limit = read_count(text);
  else if (name == "remaining-requests")
    into.requests_left = read_count(text);
  else if (name == "reset-requests")
    into.requests_reset = read_duration(text);
  else if (name == "limit-tokens")
    into.token_limit = read_count(text);
  else if (name == "remaining-tokens")
    into.tokens_left = read_count(text);
  else if (name == "reset-tokens")
    into.tokens_reset = read_duration(text);
}

void read_draft(std::string_view name, std::string_view text, provider_limits& into) {
  if (name == "limit")
    into.request_limit = read_count(text);
  else if (name == "remaining")
    into.requests_left = read_count(text);
  else if (name == "reset")
    into.requests_reset = read_duration(text);
}

/// "2026-01-31T12:00:00Z", the only form that is sent, as seconds since 1970.
std::optional<int64_t> read_time(std::string_view text) {
  constexpr std::string_view form = "0000-00-00T00:00:00Z";
  if (text.size() != form.size())
    return std::nullopt;
  for (size_t i = 0; i < form.size(); ++i) {
    auto is_digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] == '0' ? !is_digit : text[i] != form[i])
      return std::nullopt;
  }
  auto number = [text](size_t at, size_t digits) {
    auto result = 0;
    for (auto c : text.substr(at, digits))
      result = result * 10 + (c - '0');
    return result;
  };
  using namespace std::chrono;
  auto day = year{number(0, 4)} / number(5, 2) / number(8, 2);
  if (!day.ok())
    return std::nullopt;
  auto time =
      sys_days{day} + hours{number(11, 2)} + minutes{number(14, 2)} + seconds{number(17, 2)};
  return time.time_since_epoch().count();
}

/// A reset that is a time, counted from the response's own date: clocks differ.
std::optional<caf::timespan> until(std::string_view text, const http_response& response) {
  constexpr int64_t a_day = 86'400;
  auto time = read_time(text);
  auto now = curl_getdate(std::string{response.header("date")}.c_str(), nullptr);
  if (!time || now == -1 || *time - now > a_day)
    return std::nullopt;
  return std::chrono::seconds{std::max<int64_t>(*time - now, 0)};
}

/// `name` without "anthropic-ratelimit-". Limits of input tokens stand for those of tokens where
/// those say nothing: `input`.
void read_anthropic(std::string_view name, std::string_view text, const http_response& response,
    provider_limits& into, provider_limits& input) {
  constexpr std::string_view input_tokens = "input-";
  auto& target = name.starts_with(input_tokens) ? input : into;
  if (name.starts_with(input_tokens))
    name.remove_prefix(input_tokens.size());
  if (name == "requests-limit")
    target.request_limit = read_count(text);
  else if (name == "requests-remaining")
    target.requests_left = read_count(text);
  else if (name == "requests-reset")
    target.requests_reset = until(text, response);
  else if (name == "tokens-limit")
    target.token_limit = read_count(text);
  else if (name == "tokens-remaining")
    target.tokens_left = read_count(text);
  else if (name == "tokens-reset")
    target.tokens_reset = until(text, response);
}

bool says_something(const provider_limits& x) {
  return x.request_limit || x.requests_left || x.requests_reset || x.token_limit || x.tokens_left ||
         x.tokens_reset;
}

template <class T>
void fill(std::optional<T>& gap, const std::optional<T>& with) {
  if (!gap)
    gap = with;
}

} // namespace

std::optional<provider_limits> rate_limits_in(const http_response& response) {
  constexpr std::string_view usual = "x-ratelimit-";
  constexpr std::string_view draft = "ratelimit-";
  constexpr std::string_view anthropic = "anthropic-ratelimit-";
  provider_limits result;
  provider_limits drafted;
  provider_limits input;
  for (const auto& header : response.headers) {
    std::string_view name = header.name;
    if (name.starts_with(usual))
      read(name.substr(usual.size()), header.value, result);
    else if (name.starts_with(draft))
      read_draft(name.substr(draft.size()), header.value, drafted);
    else if (name.starts_with(anthropic))
      read_anthropic(name.substr(anthropic.size()), header.value, response, result, input);
  }
  fill(result.request_limit, drafted.request_limit);
  fill(result.requests_left, drafted.requests_left);
  fill(result.requests_reset, drafted.requests_reset);
  fill(result.token_limit, input.token_limit);
  fill(result.tokens_left, input.tokens_left);
  fill(result.tokens_reset, input.tokens_reset);
  if (!says_something(result))
    return std::nullopt;
  return result;
}

} // namespace chainmail
