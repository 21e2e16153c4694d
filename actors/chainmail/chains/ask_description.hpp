// Asking an actor by message what it takes and gives, from a thread that can wait.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/expected.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace chainmail {

/// The answer to a describe_atom. In sentences, `slot` names the actor's place, `who` the actor, and
/// `what` that which it is asked for: "the map chain", "the chain", "inputs and outputs".
/// @throws std::invalid_argument for an actor that gives none within 10 s.
template <class Description, class Handle>
Description ask_description(caf::actor_system& system, const Handle& to, const std::string& slot,
    const char* who, const char* what) {
  static constexpr auto patience = std::chrono::seconds{10};
  constexpr auto slack = std::chrono::seconds{1};
  auto promise = std::make_shared<std::promise<caf::expected<Description>>>();
  auto answer = promise->get_future();
  system.spawn([to, promise](caf::event_based_actor* self) {
    compat::request_within(patience, self, to, describe_atom_v)
        .then([promise](Description& found) { promise->set_value(std::move(found)); },
            [promise](caf::error& error) { promise->set_value(std::move(error)); });
  });
  if (answer.wait_for(patience + slack) != std::future_status::ready)
    throw std::invalid_argument{
        slot + " cannot be asked for its " + what + ": the actor system does not run"};
  auto found = answer.get();
  if (!found)
    throw std::invalid_argument{slot + " does not say which " + what +
                                " it has: " + describe(to_failure(found.error(), who))};
  return std::move(*found);
}

} // namespace chainmail
