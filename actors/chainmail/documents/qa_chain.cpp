// The question-answering chains, put together from documents chains and prompts.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/map_rerank_chain.hpp>
#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/documents/qa_prompts.hpp>
#include <chainmail/documents/refine_chain.hpp>
#include <chainmail/documents/stuff_chain.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <array>
#include <stdexcept>

namespace chainmail {

namespace {

constexpr std::array<std::pair<std::string_view, qa_type>, 4> names = {{
    {"stuff", qa_type::stuff},
    {"map_reduce", qa_type::map_reduce},
    {"refine", qa_type::refine},
    {"map_rerank", qa_type::map_rerank},
}};

} // namespace

std::optional<qa_type> parse_qa_type(std::string_view name) {
  for (auto [text, type] : names)
    if (text == name)
      return type;
  return std::nullopt;
}

std::string_view to_string(qa_type type) {
  return names[static_cast<size_t>(type)].first;
}

// -- sources ------------------------------------------------------------------------------

caf::expected<sourced_answer> split_sources(std::string_view text) {
  constexpr std::string_view mark = "SOURCES:";
  auto at = text.find(mark);
  if (at == std::string_view::npos)
    return sourced_answer{std::string{trimmed(text)}, {}};
  auto rest = text.substr(at + mark.size());
  if (rest.find(mark) != std::string_view::npos)
    return make_failure(errc::malformed_response,
        "the LLM's answer holds 'SOURCES:' more than once, so its sources are not certain");
  return sourced_answer{std::string{trimmed(text.substr(0, at))}, std::string{trimmed(rest)}};
}

namespace {

/// Runs a documents chain and splits what it says into answer and sources.
class with_sources_state : public chain_state {
public:
  /// `is_rerank`: the chain names the source of its best answer, and gives its steps.
  with_sources_state(chain_actor documents_chain, bool is_rerank, bool return_steps)
    : chain_(std::move(documents_chain)), is_rerank_(is_rerank), return_steps_(return_steps) {}

  void run(const job_ptr& job) override {
    job->ask<values>(
        chain_, [this, job](values& found) { finish(job, found); }, call_atom_v,
        std::move(job->inputs));
  }

private:
  void finish(const job_ptr& job, values& found) const {
    auto text = take_text(found, output_text, "the documents chain");
    if (!text)
      return job->fail(std::move(text.error()));
    auto parts = split_sources(*text);
    if (!parts)
      return job->fail(std::move(parts.error()));
    values outputs;
    outputs.emplace("answer", std::move(parts->answer));
    outputs.emplace("sources", is_rerank_ ? source_of_best(found) : std::move(parts->sources));
    if (return_steps_)
      outputs.emplace(intermediate_steps, std::move(found[intermediate_steps]));
    job->answer(std::move(outputs));
  }

  /// Empty when no document answers the question, by the model's own score.
  static std::string source_of_best(const values& found) {
    auto steps = found.find(intermediate_steps);
    auto* answers =
        steps == found.end() ? nullptr : std::get_if<std::vector<document>>(&steps->second);
    auto* source = find_text(found, "source");
    if (answers == nullptr || answers->empty() || source == nullptr)
      return {};
    auto score = answers->front().metadata.find("score");
    auto answers_nothing = score != answers->front().metadata.end() &&
                           (score->second == "0" || score->second.starts_with('-'));
    return answers_nothing ? std::string{} : *source;
  }

  chain_actor chain_;
  bool is_rerank_;
  bool return_steps_;
};

/// What differs between the chains with and without sources.
struct qa_prompt_set {
  std::string_view stuff;
  std::string_view stuff_variable;
  std::string_view document;
  std::string_view combine_document;
  std::string_view combine;
  std::string_view refine_initial;
  std::string_view refine;
};

constexpr qa_prompt_set plain_prompts = {prompts::qa_stuff, "context", "{page_content}",
    "Content: {page_content}", prompts::qa_combine, prompts::qa_refine_initial, prompts::qa_refine};

constexpr qa_prompt_set prompts_with_sources = {prompts::sources_combine, "summaries",
    prompts::document_with_source, prompts::document_with_source, prompts::sources_combine,
    prompts::sources_refine_initial, prompts::sources_refine};

class qa_builder {
public:
  qa_builder(
      caf::actor_system& system, llm_actor llm, const qa_prompt_set& set, const qa_options& options)
    : system_(system), llm_(std::move(llm)), set_(set), options_(options) {}

  chain_actor stuff() const {
    if (options_.return_intermediate_steps)
      throw std::invalid_argument{"a stuff chain asks once and has no intermediate steps"};
    return spawn_stuff_chain(system_, ask(options_.prompt, set_.stuff),
        {set_.document, std::string{set_.stuff_variable}});
  }

  chain_actor map_reduce() const {
    map_reduce_options how;
    how.max_in_flight = options_.max_in_flight;
    how.token_max = options_.token_max;
    how.count_tokens = options_.count_tokens
                           ? options_.count_tokens
                           : measure_tokens_of(options_.parameters.model.value_or(""));
    how.return_intermediate_steps = options_.return_intermediate_steps;
    auto combine = spawn_stuff_chain(
        system_, ask(options_.combine_prompt, set_.combine), {set_.combine_document, "summaries"});
    return spawn_map_reduce_chain(
        system_, {ask(options_.prompt, prompts::qa_map), combine, {}}, std::move(how));
  }

  chain_actor refine() const {
    refine_options how;
    how.document_prompt = set_.document;
    how.return_intermediate_steps = options_.return_intermediate_steps;
    return spawn_refine_chain(system_,
        {ask(options_.prompt, set_.refine_initial), ask(options_.refine_prompt, set_.refine)},
        std::move(how));
  }

  chain_actor map_rerank(map_rerank_options how) const {
    how.max_in_flight = options_.max_in_flight;
    how.return_intermediate_steps |= options_.return_intermediate_steps;
    return spawn_map_rerank_chain(
        system_, ask(options_.prompt, prompts::qa_rerank), std::move(how));
  }

private:
  [[nodiscard]] chain_actor ask(
      const std::optional<prompt_template>& chosen, std::string_view usual) const {
    llm_chain_options how;
    how.parameters = options_.parameters;
    return spawn_llm_chain(system_, llm_, chosen ? *chosen : prompt_template{usual}, how);
  }

  caf::actor_system& system_;
  llm_actor llm_;
  const qa_prompt_set& set_;
  const qa_options& options_;
};

} // namespace

// -- spawning -----------------------------------------------------------------------------

chain_actor spawn_qa_chain(
    caf::actor_system& system, llm_actor llm, qa_type type, const qa_options& options) {
  qa_builder build{system, std::move(llm), plain_prompts, options};
  switch (type) {
  case qa_type::stuff:
    return build.stuff();
  case qa_type::map_reduce:
    return build.map_reduce();
  case qa_type::refine:
    return build.refine();
  case qa_type::map_rerank:
    return build.map_rerank({});
  }
  throw std::invalid_argument{"there is no such qa_type"};
}

chain_actor spawn_qa_with_sources_chain(
    caf::actor_system& system, llm_actor llm, qa_type type, const qa_options& options) {
  qa_builder build{system, std::move(llm), prompts_with_sources, options};
  chain_actor documents_chain;
  map_rerank_options how_to_rerank;
  switch (type) {
  case qa_type::stuff:
    documents_chain = build.stuff();
    break;
  case qa_type::map_reduce:
    documents_chain = build.map_reduce();
    break;
  case qa_type::refine:
    documents_chain = build.refine();
    break;
  case qa_type::map_rerank:
    how_to_rerank.metadata_keys = {"source"};
    how_to_rerank.return_intermediate_steps = true;
    documents_chain = build.map_rerank(std::move(how_to_rerank));
    break;
  }
  if (!documents_chain)
    throw std::invalid_argument{"there is no such qa_type"};
  chain_description description{{input_documents, "question"}, {"answer", "sources"}};
  if (options.return_intermediate_steps)
    description.output_keys.emplace_back(intermediate_steps);
  return spawn_chain(system, std::move(description),
      std::make_unique<with_sources_state>(std::move(documents_chain), type == qa_type::map_rerank,
          options.return_intermediate_steps),
      "qa_with_sources");
}

} // namespace chainmail
