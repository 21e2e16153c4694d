// An embedder without a network: texts that share words are near to one another.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <sstream>
#include <string>

namespace chainmail::test {

/// Each word of a text, in its hash's place. The hash is FNV-1a, the same everywhere.
inline embeddings hashed(const std::vector<std::string>& texts, uint32_t dimension = 64) {
  embeddings result;
  result.dimension = dimension;
  result.model = "stub-" + std::to_string(dimension);
  result.numbers.resize(texts.size() * dimension);
  for (size_t i = 0; i < texts.size(); ++i) {
    std::istringstream words{texts[i]};
    for (std::string word; words >> word;) {
      uint64_t hash = 14695981039346656037U;
      for (auto c : word)
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
      result.numbers[i * dimension + hash % dimension] += 1;
    }
  }
  return result;
}

struct stub_embedder_state {
  explicit stub_embedder_state(embedder_actor::pointer, uint32_t numbers) : dimension(numbers) {}

  embedder_actor::behavior_type make_behavior() {
    return {
        [this](embed_atom, const embed_request& request, const call_context&) {
          return hashed(request.texts, dimension);
        },
        [](cancel_atom, const call_id&) {},
    };
  }

  uint32_t dimension;
};

inline embedder_actor spawn_stub_embedder(caf::actor_system& system, uint32_t dimension = 64) {
  return system.spawn<caf::stateful_actor<stub_embedder_state, embedder_actor::impl>>(dimension);
}

} // namespace chainmail::test
