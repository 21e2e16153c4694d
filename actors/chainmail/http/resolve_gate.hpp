// Which hosts need their name resolved before a crowd of calls may go there.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace chainmail {

/// libcurl starts a resolver thread for each transfer that finds no fresh entry in the DNS cache:
/// 300 calls to a cold host make 300 threads. So the engine sends one scout first, and calls wait
/// for it.
struct resolve_gate {
  using clock = std::chrono::steady_clock;

  /// How long an answer is used. Calls accept cached entries of twice that age, so that none of
  /// them starts a resolver thread while the scout renews the entry.
  static constexpr std::chrono::seconds fresh_for{50};

  /// Numeric addresses and localhost need no resolver.
  bool is_exempt = false;
  clock::time_point fresh_until = clock::time_point::min();

  [[nodiscard]] bool is_open(clock::time_point now) const { return is_exempt || now < fresh_until; }
};

/// "https://host:port" of a URL.
std::string_view origin_of(std::string_view url);

/// True for an origin whose host is a numeric address or localhost.
bool needs_no_resolver(std::string_view origin);

} // namespace chainmail
