// The LLM chain: format, ask, hand on.
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/caf/log.hpp>
#include <chainmail/caf/metrics.hpp>
#include <chainmail/caf/owned_promise.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/caf/sink_feed.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/chains/wiring.hpp>

#include <caf/actor_system.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

struct llm_chain_state {
  static constexpr const char* name = "chainmail.llm_chain";

  using actor_type = hub_actor<chain_actor, llm_chain_state>;

  llm_chain_state(actor_type* self_ptr, std::shared_ptr<const chain_description> wiring,
      llm_actor model, llm_prompt tpl, llm_chain_options opts)
    : self(self_ptr),
      description(std::move(wiring)),
      llm(std::move(model)),
      prompt(std::move(tpl)),
      options(std::move(opts)) {}

  hub<chain_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](call_atom, const values& inputs, const call_context& context) {
          return call(inputs, nullptr, context);
        },
        [this](stream_atom, const values& inputs, const sink_actor& sink,
            const call_context& context) { return call(inputs, &sink, context); },
        [this](describe_atom) { return *description; },
        [this](cancel_atom, const call_id& id) { compat::send(self, llm, cancel_atom_v, id); },
    };
  }

  using time_point = deadline::clock::time_point;

  /// `sink` is null for a call that is no stream.
  caf::result<values> call(
      const values& inputs, const sink_actor* sink, const call_context& context) {
    auto now = self->turn_time();
    counts.begin();
    llm_request request;
    if (auto error = fill(request, inputs, sink, context, now)) {
      note_failure(context.id, now, error, false);
      return error;
    }
    on_reply then{this, owned_promise<values>{self}, context.id, now};
    auto pending = then.caller.pending();
    if (sink != nullptr)
      replies.ask_for<llm_result>(
          llm, context.due, std::move(then), stream_atom_v, std::move(request), *sink, context);
    else
      replies.ask_for<llm_result>(
          llm, context.due, std::move(then), generate_atom_v, std::move(request), context);
    return pending;
  }

  /// What becomes of the LLM's answer.
  struct on_reply {
    llm_chain_state* chain;
    owned_promise<values> caller;
    call_id id;
    time_point asked;

    void operator()(llm_result& result) {
      if (result.completions.empty()) {
        auto why = make_failure(errc::malformed_response, "the LLM answered without a completion");
        chain->note_failure(id, asked, why, false);
        caller.deliver(std::move(why));
        return;
      }
      values outputs;
      outputs.emplace(chain->options.output_key, std::move(result.completions.front().text));
      chain->counts.end(chain->self->turn_time() - asked);
      caller.deliver(std::move(outputs));
    }

    void operator()(caf::error& error) {
      auto has_line = is_logged(caf::actor_cast<caf::strong_actor_ptr>(chain->llm), error);
      chain->note_failure(id, asked, error, has_line);
      caller.deliver(std::move(error));
    }
  };

  caf::error fill(llm_request& request, const values& inputs, const sink_actor* sink,
      const call_context& context, time_point now) {
    if (sink != nullptr)
      if (auto error = check_sink(*sink))
        return error;
    if (context.due.has_passed(now))
      return make_failure(errc::timed_out, "the deadline passed before the chain was started");
    if (replies.is_full())
      return make_failure(errc::overloaded, "the chain has too many calls under way");
    if (auto error = prompt.fill(request, inputs))
      return error;
    request.parameters = options.parameters;
    return read_stop(inputs, request.stop);
  }

  void note_failure(const call_id& id, time_point begin, const caf::error& why, bool has_line) {
    auto took = self->turn_time() - begin;
    counts.end(took, code_of(why));
    if (!has_line)
      log_failure(self->system(), "llm_chain", id, took, why);
  }

  static caf::error read_stop(const values& inputs, std::vector<std::string>& stop) {
    auto found = inputs.find("stop");
    if (found == inputs.end())
      return {};
    if (auto* text = std::get_if<std::string>(&found->second))
      stop.push_back(*text);
    else if (auto* list = std::get_if<std::vector<std::string>>(&found->second))
      stop = *list;
    else
      return make_failure(
          errc::invalid_input, "the input 'stop' is neither text nor a list of texts");
    return {};
  }

  actor_type* self;
  std::shared_ptr<const chain_description> description;
  metrics::calls counts{self->system(), metrics::metric::chain_calls_total, "llm"};
  reply_table replies{self, "the LLM"};
  llm_actor llm;
  llm_prompt prompt;
  llm_chain_options options;
};

} // namespace

chain_actor spawn_llm_chain(
    caf::actor_system& system, llm_actor llm, llm_prompt prompt, llm_chain_options options) {
  if (!llm)
    throw std::invalid_argument{"an LLM chain needs a valid LLM actor"};
  auto wiring = std::make_shared<const chain_description>(
      chain_description{prompt.input_variables(), {options.output_key}});
  return system.spawn<light_actor<described_actor<llm_chain_state::actor_type>>>(
      wiring, wiring, std::move(llm), std::move(prompt), std::move(options));
}

} // namespace chainmail
