// Running actors in the thread that has mail for them.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/runner.hpp>

#include <caf/local_actor.hpp>

#include <typeinfo>
#include <utility>
#include <vector>

namespace chainmail {

/// The side of an actor that any thread may run: its handlers never block, and take microseconds.
class light {
public:
  virtual ~light() = default;
};

/// An actor that is light.
template <class Base>
class light_actor : public Base, public light {
public:
  using Base::Base;
};

/// Lets a thread run the light actors that it has just sent mail to, and those that these send mail to.
/// Waking another thread for them costs both sides more than they do, and takes 25 to 50 us on a
/// machine that has little to do. Other actors go to the scheduler, as ever.
class caller_runs : private compat::runner {
public:
  explicit caller_runs(caf::actor_system& system) : compat::runner(system), system_(system) {}

  /// Runs `send`, which sends mail from `self`, and then the actors. What a few dozen turns do not
  /// finish is left to the scheduler.
  template <class Send>
  auto operator()(caf::local_actor* self, Send send) {
    struct shift {
      caller_runs& runs;
      caf::local_actor* self;
      compat::enqueue_context usual;

      ~shift() {
        self->context(usual);
        runs.run();
      }
    };
    shift begun{*this, self, self->context()};
    self->context(this);
    return send();
  }

private:
  void take(caf::resumable* job) override;
  bool is_light(const caf::resumable& job);
  void run();

  caf::actor_system& system_;
  std::vector<caf::resumable*> jobs_;
  std::vector<std::pair<const std::type_info*, bool>> types_;
};

} // namespace chainmail
