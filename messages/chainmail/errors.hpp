// What can go wrong: one code for the program, one sentence for the person, one detail for
// policies.
#pragma once

#include <chainmail/limits.hpp>
#include <chainmail/type_ids.hpp>

#include <caf/default_enum_inspect.hpp>
#include <caf/error.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// Every error that chainmail's actors answer with. Numbers are part of the wire format.
enum class errc : uint8_t {
  none = 0,
  /// An input or an option that can never work.
  invalid_input = 1,
  /// An input that the chain or the template needs is not there.
  missing_input = 2,
  /// An input that nothing asked for.
  unexpected_input = 3,
  /// HTTP 401 or 403: the key is missing, wrong or not allowed to do this.
  authentication = 4,
  /// HTTP 404: no such model or path.
  not_found = 5,
  /// HTTP 3xx and the other 4xx: the endpoint will not take this request.
  bad_request = 6,
  /// HTTP 429. error_detail::retry_after says how long the endpoint wants to be left alone.
  rate_limited = 7,
  /// HTTP 5xx.
  server_error = 8,
  /// No exchange took place: resolve, connect, TLS, or a connection that broke.
  connection_failed = 9,
  /// The deadline passed first.
  timed_out = 10,
  /// The caller gave the call up.
  cancelled = 11,
  /// A queue is full. Nothing was sent.
  overloaded = 12,
  /// The reply is larger than the configured limit.
  response_too_large = 13,
  /// The reply is not what the interface promises.
  malformed_response = 14,
  /// The provider withheld the answer.
  content_filtered = 15,
  /// The actor has no such ability.
  unsupported = 16,
  /// The actor that held the call is gone.
  shut_down = 17,
  /// A bug of ours.
  internal = 18,
  /// Nothing was sent: the endpoint failed lately, and is left alone for a while.
  unavailable = 19,
};

std::string to_string(errc);
bool parse(std::string_view, errc&);
bool from_integer(uint8_t, errc&);

/// Called by CAF, with the string view type of its version.
template <class StringView>
bool from_string(StringView text, errc& x) {
  return parse(std::string_view{text.data(), text.size()}, x);
}

template <class Inspector>
bool inspect(Inspector& f, errc& x) {
  return caf::default_enum_inspect(f, x);
}

/// One try of a call that a guard made.
struct attempt {
  /// The model or endpoint that was asked, by the name that it has in its guard.
  std::string target = {};
  /// errc::none for the one that was answered.
  errc code = errc::none;
  /// 0 when no response came.
  int32_t http_status = 0;
  /// Why it failed, as a sentence.
  std::string reason = {};
  /// When it was sent, counted from when the guard got the call.
  caf::timespan started{0};
  /// Until its answer.
  caf::timespan took{0};
  /// Sent while another one was under way that took long.
  bool is_hedge = false;
};

template <class Inspector>
bool inspect(Inspector& f, attempt& x) {
  return f.object(x).fields(f.field("target", x.target), f.field("code", x.code),
      f.field("http_status", x.http_status), f.field("reason", x.reason),
      f.field("started", x.started), f.field("took", x.took), f.field("is_hedge", x.is_hedge));
}

/// What a policy needs to know of an HTTP failure. Second in the error's context, after the
/// sentence.
struct error_detail {
  /// 0 when no response came.
  int32_t http_status = 0;
  /// Scheme, host, port and path; never user information or a query.
  std::string endpoint = {};
  /// From the Retry-After header.
  std::optional<caf::timespan> retry_after = {};
  std::optional<provider_limits> limits = {};
  /// All of the call, when a guard made several.
  std::vector<attempt> attempts = {};
  /// Of a stream that broke: what its sink had got of the first completion.
  std::string text_so_far = {};
};

template <class Inspector>
bool inspect(Inspector& f, error_detail& x) {
  return f.object(x).fields(f.field("http_status", x.http_status), f.field("endpoint", x.endpoint),
      f.field("retry_after", x.retry_after), f.field("limits", x.limits),
      f.field("attempts", x.attempts), f.field("text_so_far", x.text_so_far));
}

/// An error with a sentence for a person: what was wrong, where, and what to do.
caf::error make_failure(errc code, std::string sentence);
caf::error make_failure(errc code, std::string sentence, error_detail detail);

/// make_failure with errc::invalid_input.
caf::error invalid_input(std::string sentence);

/// The code, or errc::internal for an error that is not chainmail's.
errc code_of(const caf::error& what);

/// The sentence of an error, whoever made it. Empty for no error.
std::string sentence_of(const caf::error& what);

/// The detail, if the error came from an HTTP exchange.
std::optional<error_detail> detail_of(const caf::error& what);

/// "rate_limited: the endpoint ...": for logs and terminals.
std::string describe(const caf::error& what);

/// An error with nothing nested in it, for messages that hold errors: the context of a caf::error can
/// hold errors without end, and a peer could make reading them end the stack.
struct flat_error {
  errc code = errc::none;
  std::string sentence;
  std::optional<error_detail> detail;
};

template <class Inspector>
bool inspect(Inspector& f, flat_error& x) {
  return f.object(x).fields(
      f.field("code", x.code), f.field("sentence", x.sentence), f.field("detail", x.detail));
}

/// errc::internal for an error that is not chainmail's.
flat_error flatten(const caf::error& what);
caf::error to_error(flat_error what);

/// Turns CAF's own errors (a receiver that is gone, a broken promise) into chainmail's; leaves
/// others alone. `who` names the receiver in the sentence.
caf::error to_failure(caf::error what, const char* who);

} // namespace chainmail
