// What is asked of a rate limiter, and what endpoints say of their limits.
#pragma once

#include <chainmail/type_ids.hpp>

#include <caf/default_enum_inspect.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// What an endpoint's x-ratelimit-* headers say. What it did not say is not set.
struct provider_limits {
  /// Of a period; usually of a minute.
  std::optional<int64_t> request_limit = {};
  std::optional<int64_t> requests_left = {};
  /// Until all requests of the period are there again, if none is made.
  std::optional<caf::timespan> requests_reset = {};
  std::optional<int64_t> token_limit = {};
  std::optional<int64_t> tokens_left = {};
  std::optional<caf::timespan> tokens_reset = {};
};

template <class Inspector>
bool inspect(Inspector& f, provider_limits& x) {
  return f.object(x).fields(f.field("request_limit", x.request_limit),
      f.field("requests_left", x.requests_left), f.field("requests_reset", x.requests_reset),
      f.field("token_limit", x.token_limit), f.field("tokens_left", x.tokens_left),
      f.field("tokens_reset", x.tokens_reset));
}

/// One request that wants to be sent. Whose it is and how urgent stands in its call_context.
struct demand {
  /// Whose limits it counts against: an endpoint and a model. Never an API key.
  std::string key = {};
  /// What it will likely use, prompt and completion.
  int64_t tokens = 0;
  /// It was sent before and has to be sent again: goes before others of its tenant and priority.
  bool is_retry = false;
};

template <class Inspector>
bool inspect(Inspector& f, demand& x) {
  return f.object(x).fields(
      f.field("key", x.key), f.field("tokens", x.tokens), f.field("is_retry", x.is_retry));
}

/// Leave to send one request now. Whoever got it settles it, or dies; it then comes back.
struct permit {
  uint64_t id = 0;
};

template <class Inspector>
bool inspect(Inspector& f, permit& x) {
  return f.object(x).fields(f.field("id", x.id));
}

/// What became of a permit.
enum class permit_use : uint8_t {
  /// The endpoint answered.
  answered,
  /// It answered 429.
  rate_limited,
  /// The request may have reached the endpoint, but no use came of it.
  failed,
  /// Nothing was sent: what was reserved is given back.
  unused,
};

std::string to_string(permit_use);
bool parse(std::string_view, permit_use&);
bool from_integer(uint8_t, permit_use&);

/// Called by CAF, with the string view type of its version.
template <class StringView>
bool from_string(StringView text, permit_use& x) {
  return parse(std::string_view{text.data(), text.size()}, x);
}

template <class Inspector>
bool inspect(Inspector& f, permit_use& x) {
  return caf::default_enum_inspect(f, x);
}

struct permit_report {
  permit_use use = permit_use::answered;
  /// Really used. Negative when that is not known: then what was reserved counts.
  int64_t tokens = -1;
  /// From a 429's Retry-After.
  std::optional<caf::timespan> retry_after = {};
  std::optional<provider_limits> limits = {};
};

template <class Inspector>
bool inspect(Inspector& f, permit_report& x) {
  return f.object(x).fields(f.field("use", x.use), f.field("tokens", x.tokens),
      f.field("retry_after", x.retry_after), f.field("limits", x.limits));
}

/// What a holder of leases may grant on its own when the limiter is lost: its part of the limits in
/// force.
struct limiter_share {
  std::string key = {};
  /// Which limiter told it: one that was started anew has another number.
  uint64_t limiter = 0;
  /// Among how many holders the limits are divided; 0 for no share.
  uint32_t holders = 0;
  /// 0 for no such limit. All of them 0: no limit is known, or none of one is left for each holder;
  /// then nothing may be granted.
  int64_t requests_per_minute = 0;
  int64_t tokens_per_minute = 0;
  uint64_t max_in_flight = 0;
  /// How long after the loss it begins to flow: a burst may have been granted just before.
  caf::timespan after{0};
};

template <class Inspector>
bool inspect(Inspector& f, limiter_share& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("limiter", x.limiter),
      f.field("holders", x.holders), f.field("requests_per_minute", x.requests_per_minute),
      f.field("tokens_per_minute", x.tokens_per_minute), f.field("max_in_flight", x.max_in_flight),
      f.field("after", x.after));
}

/// Several permits of one tenant at once, for a limiter that serves the clients of another node.
struct lease_demand {
  std::string key = {};
  /// 0 asks for the share only, which is answered at once.
  uint32_t permits = 0;
  /// Of all of them together.
  int64_t tokens = 0;
  /// Of the share that the asker has, by which it may have granted on its own; 0 for none.
  uint64_t limiter = 0;
  uint32_t holders = 0;
  /// How long the asker has been there: who is younger than another one's loss may replace that.
  caf::timespan age{0};
};

template <class Inspector>
bool inspect(Inspector& f, lease_demand& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("permits", x.permits),
      f.field("tokens", x.tokens), f.field("limiter", x.limiter), f.field("holders", x.holders),
      f.field("age", x.age));
}

/// May be less than was asked for, but is at least one permit, unless none was asked for.
struct lease {
  uint64_t id = 0;
  uint32_t permits = 0;
  int64_t tokens = 0;
  /// After this, permits that were not used must not be.
  caf::timespan valid_for{0};
  /// From now on.
  limiter_share share = {};
};

template <class Inspector>
bool inspect(Inspector& f, lease& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("permits", x.permits),
      f.field("tokens", x.tokens), f.field("valid_for", x.valid_for), f.field("share", x.share));
}

/// What became of some of a lease's permits. A lease is over when all of them were reported.
struct lease_report {
  uint64_t id = 0;
  uint32_t answered = 0;
  uint32_t rate_limited = 0;
  uint32_t failed = 0;
  uint32_t unused = 0;
  /// Reserved for those permits, and really used by them.
  int64_t tokens_reserved = 0;
  int64_t tokens_used = 0;
  /// The longest.
  std::optional<caf::timespan> retry_after = {};
  /// The latest.
  std::optional<provider_limits> limits = {};
};

template <class Inspector>
bool inspect(Inspector& f, lease_report& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("answered", x.answered),
      f.field("rate_limited", x.rate_limited), f.field("failed", x.failed),
      f.field("unused", x.unused), f.field("tokens_reserved", x.tokens_reserved),
      f.field("tokens_used", x.tokens_used), f.field("retry_after", x.retry_after),
      f.field("limits", x.limits));
}

/// One key of a limiter.
struct limiter_key_status {
  std::string key = {};
  /// Permits that are out, leased ones included.
  uint64_t in_flight = 0;
  uint64_t waiting = 0;
  /// Counted in the running period; 0 without such a limit.
  int64_t requests_used = 0;
  int64_t tokens_used = 0;
  /// The limits in force, configured or learned; 0 for none.
  int64_t requests_per_minute = 0;
  int64_t tokens_per_minute = 0;
  uint64_t max_in_flight = 0;
  /// What is left of a pause that the endpoint asked for.
  caf::timespan paused_for{0};
};

template <class Inspector>
bool inspect(Inspector& f, limiter_key_status& x) {
  return f.object(x).fields(f.field("key", x.key), f.field("in_flight", x.in_flight),
      f.field("waiting", x.waiting), f.field("requests_used", x.requests_used),
      f.field("tokens_used", x.tokens_used), f.field("requests_per_minute", x.requests_per_minute),
      f.field("tokens_per_minute", x.tokens_per_minute), f.field("max_in_flight", x.max_in_flight),
      f.field("paused_for", x.paused_for));
}

struct limiter_status {
  std::vector<limiter_key_status> keys = {};
};

template <class Inspector>
bool inspect(Inspector& f, limiter_status& x) {
  return f.object(x).fields(f.field("keys", x.keys));
}

} // namespace chainmail
