// Reading Retry-After.
#include <chainmail/http/retry_after.hpp>

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace chainmail {

namespace {

std::optional<double> read_number(std::string_view text) {
  double x = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (failed != std::errc{} || end != text.data() + text.size() || !(x >= 0))
    return std::nullopt;
  return x;
}

caf::timespan bounded(double seconds) {
  constexpr double a_day = 86'400;
  return std::chrono::duration_cast<caf::timespan>(
      std::chrono::duration<double>{std::clamp(seconds, 0.0, a_day)});
}

} // namespace

std::optional<caf::timespan> retry_after(
    const http_response& response, std::chrono::system_clock::time_point now) {
  if (auto ms = read_number(response.header("retry-after-ms")))
    return bounded(*ms / 1000);
  std::string text{response.header("retry-after")};
  if (auto seconds = read_number(text))
    return bounded(*seconds);
  if (auto date = curl_getdate(text.c_str(), nullptr); !text.empty() && date != -1) {
    auto left = std::chrono::system_clock::from_time_t(date) - now;
    return bounded(std::chrono::duration<double>{left}.count());
  }
  return std::nullopt;
}

} // namespace chainmail
