// What the simulator can be told to do: its options, the faults it can inject, and their text
// forms.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// What becomes of one POST request.
enum class fault {
  ok,
  rate_limited, ///< 429 with Retry-After
  server_error, ///< 500
  unavailable,  ///< 503
  reset,        ///< the connection ends in a TCP reset, without an answer
  hang,      ///< no answer; the connection stays open until the client leaves or the server stops
  truncated, ///< the body ends before its Content-Length, then the connection closes
  invalid_json, ///< 200 with half of a JSON text
  drip,         ///< the right answer, a small piece every 50 ms
  // In the middle of a stream, after `fault_after` tokens. An answer that is no stream gets reset,
  // hang and 500.
  stream_break, ///< a TCP reset
  stream_stall, ///< nothing more, until the client leaves
  stream_error, ///< an event with an error object, then the end
  /// JSON that breaks the schema that was asked for, arguments of tools too; a text stays as it is.
  schema,
};

inline constexpr std::size_t fault_kinds = 13;

/// The name users type: "ok", "429", "500", "503", "reset", "hang", "truncated", "invalid_json",
/// "drip", "break", "stall", "error", "schema".
std::string_view to_string(fault kind);

struct fault_rate {
  fault kind;
  double rate; ///< share of the requests, from 0 to 1
};

/// A share of the requests takes `factor` times its latency.
struct slow_share {
  double share = 0; ///< from 0 to 1
  double factor = 1;
};

/// From when to when POST requests fail, counted from the first of them; `until` is not included.
struct outage_time {
  std::chrono::milliseconds from{0};
  std::chrono::milliseconds until{0};
};

struct options {
  /// A loopback address; the simulator serves nothing else.
  std::string host = "127.0.0.1";
  std::uint16_t port = 0; ///< 0: any free one
  /// Median time from the complete receipt of a request to its answer. Answers 4xx and 503 do not
  /// wait: an endpoint gives them before a model runs.
  std::chrono::microseconds latency{0};
  /// 0: every answer takes `latency`; above: log-normal around it, with this sigma.
  double sigma = 0;
  /// Which requests are slow is drawn by the seed.
  slow_share slow;
  /// Of each choice of a stream, per second, from when the first token is due; 0: all at once.
  double token_rate = 0;
  /// The gaps between tokens vary by up to this share, up and down, from 0 to 1.
  double token_jitter = 0;
  /// How many tokens a reply to a prompt of no known kind has; 0: as few as it takes.
  std::uint64_t reply_tokens = 0;
  std::uint64_t seed = 0;
  /// What happens to the first POST requests, in order of arrival. Then `fault_rates` decide.
  std::vector<fault> script;
  std::vector<fault_rate> fault_rates;
  /// How many tokens a stream has sent when its fault comes; of a short stream, all but the last.
  std::size_t fault_after = 3;
  /// Empty: any key or none is accepted.
  std::string api_key;
  /// Empty: any model is accepted.
  std::vector<std::string> models;
  /// What injected 429s say. Those of the limits below say how long it really takes.
  std::chrono::seconds retry_after{1};
  /// Every Retry-After is an HTTP date, and there is no retry-after-ms.
  bool retry_after_as_date = false;
  /// Most requests and tokens accepted in any stretch of `rate_window`; 0: no limit. They hold for
  /// the whole server, not for each key and model.
  std::uint64_t requests_per_minute = 0;
  std::uint64_t tokens_per_minute = 0;
  /// Stands for the minute, so that tests need not wait for one.
  std::chrono::milliseconds rate_window{60'000};
  outage_time outage;
  /// Requests in an outage get a connection reset instead of 503, also in one of set_outage().
  bool outage_resets = false;
};

/// Reads "429,429,ok,reset".
/// @throws std::invalid_argument with a sentence for the user
std::vector<fault> parse_script(std::string_view text);

/// Reads "429:0.1,reset:0.05".
/// @throws std::invalid_argument with a sentence for the user, also when the rates add up to more
/// than 1
std::vector<fault_rate> parse_fault_rates(std::string_view text);

/// Reads "0.05:20", a share and a factor.
/// @throws std::invalid_argument with a sentence for the user
slow_share parse_slow_share(std::string_view text);

/// Reads "5s..25s"; the units are ms, s and min.
/// @throws std::invalid_argument with a sentence for the user
outage_time parse_outage(std::string_view text);

/// Draws the gaps between the tokens of one stream.
class token_pace {
public:
  token_pace() = default;
  token_pace(double rate, double jitter, std::uint64_t seed);

  std::chrono::nanoseconds next_gap();

private:
  double gap_ = 0; ///< in nanoseconds
  double jitter_ = 0;
  std::minstd_rand random_;
};

/// Draws what happens to each request. Equal options give equal draws.
class behaviour {
public:
  /// @throws std::invalid_argument for negative times or sigma, and for impossible rates
  explicit behaviour(const options& opts);

  fault next_fault();
  std::chrono::nanoseconds next_latency();
  token_pace next_pace();

private:
  std::vector<fault> script_;
  std::size_t scripted_ = 0;
  std::vector<fault_rate> rates_;
  std::chrono::nanoseconds median_;
  double sigma_;
  slow_share slow_;
  double token_rate_;
  double token_jitter_;
  std::mt19937_64 random_;
};

} // namespace chainmail::simulator
