// What travels with every call: who it is, until when it is wanted, and for whom.
#pragma once

#include <chainmail/type_ids.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

namespace chainmail {

/// How long calls from a blocking scope wait when nothing else is said. LangChain's time-out.
inline constexpr caf::timespan default_timeout = std::chrono::seconds{600};

/// Names one call of one caller. The root is unique across nodes; steps tell the calls apart that
/// one root call leads to. A default-constructed ID names nothing: such a call cannot be cancelled.
struct call_id {
  uint64_t root = 0;
  uint64_t step = 0;

  /// A new root: 64 bits that no other call of this process has, and no other process likely has.
  static call_id make();

  /// The ID of the `index`-th call made on behalf of this one. The same index gives the same ID,
  /// and IDs of different parents or indexes differ (64-bit mixing, so up to a negligible chance).
  [[nodiscard]] call_id child(uint64_t index) const noexcept;

  /// False for the default-constructed ID.
  explicit operator bool() const noexcept { return root != 0; }

  friend auto operator<=>(const call_id&, const call_id&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, call_id& x) {
  return f.object(x).fields(f.field("root", x.root), f.field("step", x.step));
}

/// When an answer stops being of use: an absolute steady time inside a process, remaining time on
/// the wire, so that clocks of different nodes need not agree.
struct deadline {
  using clock = std::chrono::steady_clock;

  clock::time_point at = clock::time_point::max();

  [[nodiscard]] bool is_never() const noexcept { return at == clock::time_point::max(); }

  /// A while after the deadline; never stays never.
  [[nodiscard]] clock::time_point plus(clock::duration while_after) const noexcept {
    return at < clock::time_point::max() - while_after ? at + while_after
                                                       : clock::time_point::max();
  }

  /// `now` is the actor's clock, not the real one: tests drive it.
  [[nodiscard]] bool has_passed(clock::time_point now) const noexcept { return at <= now; }
};

template <class Inspector>
bool inspect(Inspector& f, deadline& x) {
  using std::chrono::nanoseconds;
  constexpr auto never = std::numeric_limits<int64_t>::max();
  auto get = [&x]() -> int64_t {
    return x.is_never() ? never : nanoseconds{x.at - deadline::clock::now()}.count();
  };
  auto set = [&x](int64_t remaining) {
    // A peer may send anything: what would overflow the clock means "never".
    auto now = deadline::clock::now();
    auto room = nanoseconds{deadline::clock::time_point::max() - now}.count();
    x.at = remaining >= room ? deadline::clock::time_point::max()
                             : now + nanoseconds{std::max(remaining, int64_t{-1})};
    return true;
  };
  return f.object(x).fields(f.field("remaining_ns", get, set));
}

/// Travels with every call, from the first caller down to the socket.
struct call_context {
  call_id id = {};
  deadline due = {};
  /// Whose quota the call counts against; empty for the only tenant.
  std::string tenant = {};
  /// Higher goes first where calls wait for capacity.
  int32_t priority = 0;

  /// The same context for the `index`-th call made on behalf of this one.
  [[nodiscard]] call_context child(uint64_t index) const;
};

template <class Inspector>
bool inspect(Inspector& f, call_context& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("due", x.due), f.field("tenant", x.tenant),
      f.field("priority", x.priority));
}

} // namespace chainmail

template <>
struct std::hash<chainmail::call_id> {
  size_t operator()(const chainmail::call_id& x) const noexcept {
    return static_cast<size_t>(x.root ^ (x.step * 0x9e3779b97f4a7c15ULL));
  }
};
