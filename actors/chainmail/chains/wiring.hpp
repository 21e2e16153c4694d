// Which inputs chains need and which outputs they give, known before the first call.
#pragma once

#include <chainmail/caf/log.hpp>
#include <chainmail/messages.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chainmail {

/// The side of a chain of this process that says its wiring without being asked by message.
class described {
public:
  virtual ~described() = default;

  /// Never changes, and may be read from any thread.
  [[nodiscard]] virtual const chain_description& description() const noexcept = 0;

  /// False for a chain that refuses to stream.
  [[nodiscard]] virtual bool streams() const noexcept { return true; }
};

/// A chain's actor that is described, and logs its failed calls. `Base` takes what comes after the description.
template <class Base>
class described_actor : public logging_actor<Base>, public described {
public:
  template <class... Ts>
  described_actor(
      caf::actor_config& config, std::shared_ptr<const chain_description> wiring, Ts&&... xs)
    : logging_actor<Base>(config, std::forward<Ts>(xs)...), wiring_(std::move(wiring)) {}

  [[nodiscard]] const chain_description& description() const noexcept override { return *wiring_; }

private:
  /// Outlives the state, which goes when the actor quits.
  std::shared_ptr<const chain_description> wiring_;
};

/// The wiring of a chain: at once for chainmail's own chains in this process. Others (chains of
/// other nodes, your own actors) are asked, and the calling thread waits for their answer.
/// @throws std::invalid_argument for an invalid handle, or one that gives no description within
/// 10 s; `slot` names it in the sentence: "the map chain".
chain_description describe(
    caf::actor_system& system, const chain_actor& chain, const std::string& slot);

/// Whether it is worth to ask a chain for a stream: not with those of this process that refuse.
bool may_stream(const chain_actor& chain);

/// The only output of a chain.
/// @throws std::invalid_argument when it has none or several.
std::string only_output(const chain_description& chain, const std::string& slot);

/// True when the chain needs this input.
bool takes(const chain_description& chain, const std::string& key);

/// errc::missing_input, naming all that the description needs and the inputs lack.
caf::error check_inputs(const chain_description& chain, const values& inputs);

/// Leaves in a chain's answer what its description has. errc::malformed_response, naming `slot`, for
/// an answer that lacks some of that.
caf::error keep_outputs(const chain_description& chain, values& answer, const std::string& slot);

/// Sorted, each once: what descriptions hold.
std::vector<std::string> sorted_keys(std::vector<std::string> keys);

/// 'a', 'b': for sentences. "nothing" when there is none.
std::string in_quotes(const std::vector<std::string>& keys);

} // namespace chainmail
