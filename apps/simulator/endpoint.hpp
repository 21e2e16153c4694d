// Decides what happens to each HTTP request: route, key, fault, latency and the text to send. No
// sockets.

#pragma once

#include "options.hpp"
#include "replies.hpp"
#include "stats.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// What the endpoint looks at in a request.
struct request_view {
  std::string_view method; ///< in upper case
  std::string_view target; ///< path and query
  std::string_view body = {};
  std::string_view authorization = {}; ///< the header of that name, or empty
  std::string_view api_key = {};       ///< the header `api-key`, or empty
  bool keep_alive = true;
};

struct plan {
  fault kind = fault::ok;
  bool is_refused = false;
  bool is_counted = true;
  bool keep_alive = true; ///< else the connection closes after the answer
  std::string text;       ///< status line, fields and body; meaningless for a hang and a reset
  std::size_t body_size = 0;
  std::chrono::nanoseconds latency{0};
};

/// Status line, fields and body. `extra_fields` are whole lines.
std::string http_text(const answer& what, bool keep_alive, std::string_view extra_fields = {});

class endpoint {
public:
  /// @throws std::invalid_argument for options that make no sense
  explicit endpoint(const options& opts);

  /// To be called once per request, in order of arrival. `counted` is what GET /stats answers.
  plan decide(const request_view& request, const stats& counted);

private:
  answer answer_for(
      fault kind, const request_view& request, const route& where, const stats& counted);
  answer answer_normally(const request_view& request, const route& where, const stats& counted);
  std::string extra_fields(const answer& what, const route& where) const;
  bool has_key(const request_view& request) const;

  behaviour behaviour_;
  responder responder_;
  std::string api_key_;
  std::chrono::seconds retry_after_;
};

} // namespace chainmail::simulator
