// Wiring of a documents chain's slot.
#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/documents_slot.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

documents_slot::documents_slot(
    caf::actor_system& system, chain_actor chain, std::string variable, const char* name)
  : chain_(std::move(chain)), variable_(std::move(variable)), name_(name) {
  auto wiring = describe(system, chain_, name_);
  if (!takes(wiring, variable_))
    throw std::invalid_argument{
        std::string{name_} + " does not take '" + variable_ + "', where the documents would go"};
  output_ = only_output(wiring, name_);
  inputs_ = std::move(wiring.input_keys);
}

chain_description documents_slot::outer_description(
    const std::vector<std::string>& supplies) const {
  chain_description result{{input_documents}, {output_text}};
  for (const auto& key : inputs_)
    if (key != variable_ && std::ranges::find(supplies, key) == supplies.end())
      result.input_keys.push_back(key);
  return result;
}

} // namespace chainmail
