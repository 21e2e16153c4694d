// Summaries, put together from documents chains and prompts.
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/documents/qa_prompts.hpp>
#include <chainmail/documents/refine_chain.hpp>
#include <chainmail/documents/stuff_chain.hpp>
#include <chainmail/documents/summarize_chain.hpp>

#include <stdexcept>

namespace chainmail {

chain_actor spawn_summarize_chain(
    caf::actor_system& system, llm_actor llm, summarize_type type, summarize_options options) {
  auto ask = [&](const std::optional<prompt_template>& chosen, const prompt_template& usual) {
    llm_chain_options how;
    how.parameters = options.parameters;
    return spawn_llm_chain(system, llm, chosen ? *chosen : usual, how);
  };
  auto prompt = options.prompt ? *options.prompt : prompt_template{prompts::summarize};
  switch (type) {
  case summarize_type::stuff:
    if (options.return_intermediate_steps)
      throw std::invalid_argument{"a stuff chain asks once and has no intermediate steps"};
    return spawn_stuff_chain(system, ask(prompt, prompt), {"{page_content}", "text"});
  case summarize_type::map_reduce: {
    map_reduce_options how;
    how.document_variable = "text";
    how.max_in_flight = options.max_in_flight;
    how.token_max = options.token_max;
    how.count_tokens = options.count_tokens
                           ? std::move(options.count_tokens)
                           : measure_tokens_of(options.parameters.model.value_or(""));
    how.return_intermediate_steps = options.return_intermediate_steps;
    auto combine =
        spawn_stuff_chain(system, ask(options.combine_prompt, prompt), {"{page_content}", "text"});
    return spawn_map_reduce_chain(system, {ask(prompt, prompt), combine, {}}, std::move(how));
  }
  case summarize_type::refine: {
    refine_options how;
    how.document_variable = "text";
    how.return_intermediate_steps = options.return_intermediate_steps;
    return spawn_refine_chain(system,
        {ask(prompt, prompt),
            ask(options.refine_prompt, prompt_template{prompts::summarize_refine})},
        std::move(how));
  }
  }
  throw std::invalid_argument{"there is no such summarize_type"};
}

} // namespace chainmail
