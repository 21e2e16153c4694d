// How long a response asks to be left alone.
#pragma once

#include <chainmail/http.hpp>

#include <caf/timespan.hpp>

#include <chrono>
#include <optional>

namespace chainmail {

/// From `retry-after-ms`, or from `retry-after` in seconds (fractions too) or as an HTTP date
/// (RFC 9110, 10.2.3). Nothing when neither is there or can be read; never negative, at most a day.
std::optional<caf::timespan> retry_after(
    const http_response& response, std::chrono::system_clock::time_point now);

} // namespace chainmail
