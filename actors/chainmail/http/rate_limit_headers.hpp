// What a response says of its endpoint's rate limits.
#pragma once

#include <chainmail/http.hpp>
#include <chainmail/limits.hpp>

#include <optional>

namespace chainmail {

/// From x-ratelimit-{limit,remaining,reset}-{requests,tokens}, as OpenAI, Azure, Groq and others send
/// them; ratelimit-{limit,remaining,reset} of the IETF's drafts stand for requests where those say
/// nothing. Anthropic's anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset}
/// are read, too. Resets are durations ("12ms", "6m0s", "1h2m3.5s") or seconds ("20"); Anthropic's are
/// times, which count from the response's Date. Nothing when there
/// is no such header. What cannot be read is as if absent, and so are negative numbers, counts of
/// more than 10^12, and resets of more than a day: some servers send the time of day.
std::optional<provider_limits> rate_limits_in(const http_response& response);

} // namespace chainmail
