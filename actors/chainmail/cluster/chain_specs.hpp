// Chains in words: as they stand in a configuration file, or come from another node.
#pragma once

#include <chainmail/actors.hpp>
#include <chainmail/cluster.hpp>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

namespace chainmail {

/// Spawns the chain that a spec describes, around `llm`. errc::invalid_input with a sentence for a
/// kind or a setting that there is none of, one that is missing, or one that cannot be. The kinds, and
/// their settings:
/// - llm_chain: template (needed), output_key
/// - llm_math_chain
/// - qa_chain, qa_with_sources_chain: type (stuff, map_reduce, refine, map_rerank)
/// - summarize_chain: type (stuff, map_reduce, refine)
caf::expected<chain_actor> spawn_chain(
    caf::actor_system& system, const chain_spec& spec, const llm_actor& llm);

} // namespace chainmail
