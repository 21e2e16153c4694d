// From words to chains.
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/chains/llm_math_chain.hpp>
#include <chainmail/cluster/chain_specs.hpp>
#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/documents/summarize_chain.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/prompt_template.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>

#include <exception>
#include <initializer_list>
#include <set>
#include <string>

namespace chainmail {

namespace {

constexpr size_t longest_setting = 100'000;

caf::error refuse(const chain_spec& spec, const std::string& what) {
  return make_failure(
      errc::invalid_input, "the chain spec " + one_line(spec.kind, 40) + " " + what);
}

/// Settings that the kind does not take are mistakes.
caf::error check_settings(const chain_spec& spec, const std::set<std::string>& known) {
  for (const auto& [key, text] : spec.settings) {
    if (!known.contains(key))
      return refuse(spec, "takes no setting '" + one_line(key, 40) + "'");
    if (text.size() > longest_setting || !is_utf8(text))
      return refuse(spec, "has a setting '" + key + "' that is not UTF-8 of at most 100000 bytes");
  }
  return {};
}

std::string setting(const chain_spec& spec, const char* key, const char* otherwise) {
  auto found = spec.settings.find(key);
  return found == spec.settings.end() ? otherwise : found->second;
}

caf::expected<chain_actor> spawn_llm(
    caf::actor_system& system, const chain_spec& spec, const llm_actor& llm) {
  auto text = spec.settings.find("template");
  if (text == spec.settings.end())
    return refuse(spec, "needs the setting 'template'");
  auto prompt = prompt_template::parse(text->second);
  if (!prompt)
    return std::move(prompt.error());
  llm_chain_options options;
  options.output_key = setting(spec, "output_key", "text");
  return spawn_llm_chain(system, llm, std::move(*prompt), options);
}

caf::expected<chain_actor> spawn_qa(
    caf::actor_system& system, const chain_spec& spec, const llm_actor& llm, bool has_sources) {
  auto type = parse_qa_type(setting(spec, "type", "stuff"));
  if (!type)
    return refuse(spec, "has a type that is none of stuff, map_reduce, refine, map_rerank");
  return has_sources ? spawn_qa_with_sources_chain(system, llm, *type)
                     : spawn_qa_chain(system, llm, *type);
}

caf::expected<chain_actor> spawn_summarize(
    caf::actor_system& system, const chain_spec& spec, const llm_actor& llm) {
  auto word = setting(spec, "type", "stuff");
  for (auto [name, type] : {std::pair{"stuff", summarize_type::stuff},
           std::pair{"map_reduce", summarize_type::map_reduce},
           std::pair{"refine", summarize_type::refine}})
    if (word == name)
      return spawn_summarize_chain(system, llm, type);
  return refuse(spec, "has a type that is none of stuff, map_reduce, refine");
}

caf::expected<chain_actor> spawn(
    caf::actor_system& system, const chain_spec& spec, const llm_actor& llm) {
  auto takes = [&spec](const std::set<std::string>& known) { return check_settings(spec, known); };
  if (spec.kind == "llm_chain") {
    auto error = takes({"template", "output_key"});
    return error ? caf::expected<chain_actor>{error} : spawn_llm(system, spec, llm);
  }
  if (spec.kind == "llm_math_chain") {
    auto error = takes({});
    return error ? caf::expected<chain_actor>{error} : spawn_llm_math_chain(system, llm);
  }
  if (spec.kind == "qa_chain" || spec.kind == "qa_with_sources_chain") {
    auto error = takes({"type"});
    return error ? caf::expected<chain_actor>{error}
                 : spawn_qa(system, spec, llm, spec.kind == "qa_with_sources_chain");
  }
  if (spec.kind == "summarize_chain") {
    auto error = takes({"type"});
    return error ? caf::expected<chain_actor>{error} : spawn_summarize(system, spec, llm);
  }
  return refuse(spec, "is of no kind that there is: llm_chain, llm_math_chain, qa_chain, "
                      "qa_with_sources_chain, summarize_chain");
}

} // namespace

caf::expected<chain_actor> spawn_chain(
    caf::actor_system& system, const chain_spec& spec, const llm_actor& llm) {
  try {
    return spawn(system, spec, llm);
  } catch (const std::exception& error) {
    return refuse(spec, std::string{"cannot be: "} + error.what());
  }
}

} // namespace chainmail
