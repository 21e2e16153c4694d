// Who holds leases of one key, and what each of them may grant when the limiter is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace chainmail {

/// Knows no actors, no limits and no clock: holders are numbers, and a share is one nth of the limits.
///
/// What all holders believe they have is never more than the whole. So whoever is to have less is
/// told first, and nobody has more before that is confirmed: a message may be on its way when the
/// limiter is lost. The share of a holder that is lost stays reserved for a minute, as it may be cut
/// off and use it; unless a holder comes that was not there before, and is taken for the same one.
/// After a minute it is taken for dead: whoever is cut off for longer, or was not the one that came,
/// goes on with its share on top of the limits.
class lease_shares {
public:
  using time_point = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds reserved_for{60};
  /// A holder that did not ask for so long is not counted. Those that use their key ask more often.
  static constexpr std::chrono::seconds counted_for{90};
  /// Those beyond have no share.
  static constexpr uint32_t most_holders = 1'000;

  /// The share that a holder has when it asks: one `parts`th, or none for 0.
  struct claim {
    uint32_t parts = 0;
    /// Whether another limiter told it of that, which is lost then.
    bool is_of_another = false;
    /// Who was there when another one was lost, and has no share, does not replace that.
    time_point there_since = time_point::max();
  };

  /// What a holder is to be told: its share is one `parts`th from now on, or none for 0.
  struct notice {
    uint64_t holder = 0;
    uint32_t parts = 0;
  };

  /// A holder asked for something. True when it tells of holders that nobody knows here: what they
  /// may be granting on their own is reserved.
  bool on_demand(uint64_t holder, const claim& what, time_point now);

  /// Those who ask the limiter itself for single permits count as one more holder together, if there
  /// are others. It is told nothing, and never lost.
  void on_own_use(time_point now);

  /// A holder is dead or cut off.
  void on_loss(uint64_t holder, time_point now);

  /// A holder heeds a notice, the oldest that it did not heed yet.
  void on_confirmed(uint64_t holder);

  /// What has to be told now. Each notice is to be sent, in this order, and confirmed unless its
  /// holder is lost.
  std::vector<notice> take_notices(time_point now);

  /// What a holder was told last.
  [[nodiscard]] uint32_t parts_of(uint64_t holder) const;

  /// Which part of the limits is reserved for lost holders: from 0 to 1.
  [[nodiscard]] double reserved() const;

  /// When a holder or a reservation becomes too old; time_point::max() for never.
  [[nodiscard]] time_point next_at() const;

  [[nodiscard]] bool is_empty() const { return holders_.empty() && reservations_.empty(); }

private:
  struct holder_state {
    time_point asked_at;
    /// The most that it may believe to have.
    double believed = 0;
    uint32_t told = 0;
    /// Notices that it may not know of yet.
    uint32_t unconfirmed = 0;
    /// Not counted any more, once it knows that.
    bool is_leaving = false;
    /// It had a share of the limiter that was lost, or replaces one that had.
    bool is_former = false;
  };

  struct reservation {
    time_point since;
    time_point until;
    double part;
    bool is_former;
  };

  /// No number of a holder.
  static constexpr uint64_t own = UINT64_MAX;

  void forget_old(time_point now);
  [[nodiscard]] uint32_t count() const;

  std::unordered_map<uint64_t, holder_state> holders_;
  /// Oldest first.
  std::vector<reservation> reservations_;
};

} // namespace chainmail
