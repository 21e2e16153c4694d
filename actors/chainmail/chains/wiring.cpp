// Asking chains for their wiring, and holding it against what is there.
#include <chainmail/chains/ask_description.hpp>
#include <chainmail/chains/wiring.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

chain_description describe(
    caf::actor_system& system, const chain_actor& chain, const std::string& slot) {
  if (!chain)
    throw std::invalid_argument{slot + " needs a valid chain handle"};
  auto* actor = caf::actor_cast<caf::abstract_actor*>(chain);
  if (auto* local = dynamic_cast<const described*>(actor))
    return local->description();
  auto found =
      ask_description<chain_description>(system, chain, slot, "the chain", "inputs and outputs");
  found.input_keys = sorted_keys(std::move(found.input_keys));
  found.output_keys = sorted_keys(std::move(found.output_keys));
  return found;
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
