// Decides what happens to each HTTP request: route, key, outage, limits, fault, latency and the text
// to send. No sockets.

#pragma once

#include "call_keys.hpp"
#include "limits.hpp"
#include "options.hpp"
#include "replies.hpp"
#include "stats.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// What the endpoint looks at in a request.
struct request_view {
  std::string_view method; ///< in upper case
  std::string_view target; ///< path and query
  std::string_view body = {};
  std::string_view authorization = {}; ///< the header of that name, or empty
  std::string_view api_key = {};       ///< the header `api-key` or `x-api-key`, or empty
  std::string_view anthropic_version = {};
  std::string_view idempotency_key = {};
  bool keep_alive = true;
  std::chrono::steady_clock::time_point received = {}; ///< completely
};

/// As what a request is counted once it has its answer.
enum class outcome { answered, refused, rate_limited, outage };

struct plan {
  fault kind = fault::ok;
  outcome becomes = outcome::answered;
  call_novelty call = call_novelty::unknown;
  bool is_counted = true;
  bool keep_alive = true; ///< else the connection closes after the answer
  std::string text;       ///< status line, fields and body; meaningless for a hang and a reset
  std::size_t body_size = 0;
  std::chrono::nanoseconds latency{0};
  /// What follows the text, which has no body then.
  std::unique_ptr<streamed_reply> stream = {};
  token_pace pace = {};
  std::size_t fault_after = 0; ///< tokens
};

/// Where a request that has its answer is counted.
std::uint64_t& counter_of(stats& counted, const plan& decided);

/// Status line, fields and body. `extra_fields` are whole lines.
std::string http_text(const answer& what, bool keep_alive, std::string_view extra_fields = {});

/// The same of a stream of events, whose body comes in chunks.
std::string stream_head(bool keep_alive, std::string_view extra_fields);

class endpoint {
public:
  /// @throws std::invalid_argument for options that make no sense
  explicit endpoint(const options& opts);

  /// To be called once per request, in order of arrival. `counted` is what GET /stats answers.
  plan decide(const request_view& request, const stats& counted);

  /// An outage by hand, besides the one of the options. Callable from any thread.
  void set_outage(bool is_on) { is_out_ = is_on; }

private:
  using time_point = std::chrono::steady_clock::time_point;

  bool is_in_outage(time_point now);
  /// `fields` gets the lines that belong to the answer.
  answer answer_for(plan& result, std::string& fields, const request_view& request,
      const route& where, const stats& counted);
  answer answer_normally(
      const request_view& request, const route& where, const stats& counted, bool breaks_schema);
  std::string retry_after_field(std::chrono::nanoseconds wait) const;
  std::string retry_fields(std::chrono::nanoseconds wait) const;
  bool has_key(const request_view& request) const;

  behaviour behaviour_;
  responder responder_;
  std::string api_key_;
  std::size_t fault_after_;
  std::chrono::seconds retry_after_;
  bool retry_after_as_date_;
  std::optional<rate_limits> limits_;
  outage_time outage_;
  bool outage_resets_;
  std::atomic<bool> is_out_ = false;
  std::optional<time_point> first_post_;
  call_keys calls_;
};

} // namespace chainmail::simulator
