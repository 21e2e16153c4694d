// Asking chains for their wiring, and holding it against what is there.
#include <chainmail/caf/compat.hpp>
#include <chainmail/chains/wiring.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <future>
#include <memory>
#include <stdexcept>

namespace chainmail {

namespace {

chain_description ask_by_message(
    caf::actor_system& system, const chain_actor& chain, const std::string& slot) {
  static constexpr auto patience = std::chrono::seconds{10};
  constexpr auto slack = std::chrono::seconds{1};
  auto promise = std::make_shared<std::promise<caf::expected<chain_description>>>();
  auto answer = promise->get_future();
  system.spawn([chain, promise](caf::event_based_actor* self) {
    compat::request_within(patience, self, chain, describe_atom_v)
        .then([promise](chain_description& found) { promise->set_value(std::move(found)); },
            [promise](caf::error& error) { promise->set_value(std::move(error)); });
  });
  if (answer.wait_for(patience + slack) != std::future_status::ready)
    throw std::invalid_argument{
        slot + " cannot be asked for its inputs and outputs: the actor system does not run"};
  auto found = answer.get();
  if (!found)
    throw std::invalid_argument{slot + " does not say which inputs and outputs it has: " +
                                describe(to_failure(found.error(), "the chain"))};
  found->input_keys = sorted_keys(std::move(found->input_keys));
  found->output_keys = sorted_keys(std::move(found->output_keys));
  return std::move(*found);
}

} // namespace

chain_description describe(
    caf::actor_system& system, const chain_actor& chain, const std::string& slot) {
  if (!chain)
    throw std::invalid_argument{slot + " needs a valid chain handle"};
  auto* actor = caf::actor_cast<caf::abstract_actor*>(chain);
  if (auto* local = dynamic_cast<const described*>(actor))
    return local->description();
  return ask_by_message(system, chain, slot);
}

bool may_stream(const chain_actor& chain) {
  auto* local = dynamic_cast<const described*>(caf::actor_cast<caf::abstract_actor*>(chain));
  return local == nullptr || local->streams();
}

std::string only_output(const chain_description& chain, const std::string& slot) {
  if (chain.output_keys.size() != 1)
    throw std::invalid_argument{slot + " must have exactly one output, but it has " +
                                std::to_string(chain.output_keys.size())};
  return chain.output_keys.front();
}

bool takes(const chain_description& chain, const std::string& key) {
  return std::ranges::find(chain.input_keys, key) != chain.input_keys.end();
}

caf::error check_inputs(const chain_description& chain, const values& inputs) {
  std::vector<std::string> missing;
  for (const auto& key : chain.input_keys)
    if (!inputs.contains(key))
      missing.push_back(key);
  if (missing.empty())
    return {};
  return make_failure(errc::missing_input,
      (missing.size() == 1 ? "the chain needs the input " : "the chain needs the inputs ") +
          in_quotes(missing));
}

caf::error keep_outputs(const chain_description& chain, values& answer, const std::string& slot) {
  std::vector<std::string> missing;
  for (const auto& key : chain.output_keys)
    if (!answer.contains(key))
      missing.push_back(key);
  if (!missing.empty())
    return make_failure(errc::malformed_response,
        slot + " answered without what it says it gives: " + in_quotes(missing));
  std::erase_if(answer, [&](const auto& entry) {
    return !std::ranges::binary_search(chain.output_keys, entry.first);
  });
  return {};
}

std::vector<std::string> sorted_keys(std::vector<std::string> keys) {
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::string in_quotes(const std::vector<std::string>& keys) {
  std::string result;
  for (const auto& key : keys)
    result += (result.empty() ? "'" : ", '") + key + "'";
  return result.empty() ? "nothing" : result;
}

} // namespace chainmail
