// What most scenarios stand on: an engine, and an LLM with its usual policies.
#pragma once

#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <vector>

namespace chainmail::bench {

inline constexpr auto name_prompt = "What is a good name for a company that makes {product}?";

inline values name_inputs() {
  return {{"product", "toothpaste"}};
}

inline http_actor spawn_http_for(caf::actor_system& system, size_t in_flight) {
  http_options options;
  options.max_in_flight = in_flight;
  return spawn_http(system, options);
}

struct stack {
  stack(caf::actor_system& system, const load& how_much, size_t in_flight)
    : self(system),
      http(spawn_http_for(system, in_flight)),
      llm(spawn_llm(system, http, how_much.llm)) {}

  caf::expected<std::vector<outcome>> run(
      const chain_actor& chain, std::vector<values> inputs, size_t in_flight) {
    gather_options options;
    options.max_in_flight = static_cast<uint32_t>(in_flight);
    return gather(self, chain, std::move(inputs), options);
  }

  caf::scoped_actor self;
  http_actor http;
  llm_actor llm;
};

} // namespace chainmail::bench
