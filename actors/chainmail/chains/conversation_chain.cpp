// Load, ask, save.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/conversation_chain.hpp>
#include <chainmail/memory/conversation_key.hpp>
#include <chainmail/memory/show_conversation.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

const char* const conversation_options::default_prompt =
    "The following is a friendly conversation between a human and an AI. The AI is talkative and "
    "gives many specific details. What it does not know, it says that it does not know.\n\n"
    "Current conversation:\n{history}\nHuman: {input}\nAI:";

namespace {

struct conversation_call {
  job_ptr job;
  std::string key;
  conversation_turn turn;
};

using conversation_call_ptr = std::shared_ptr<conversation_call>;

class conversation_state : public chain_state {
public:
  conversation_state(llm_actor llm, memory_actor memory, conversation_options options)
    : llm_(std::move(llm)), memory_(std::move(memory)), options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto call = std::make_shared<conversation_call>();
    call->job = job;
    auto key = conversation_key(job->inputs);
    if (!key)
      return job->fail(std::move(key.error()));
    call->key = std::move(*key);
    if (!append_text(call->turn.human, job->inputs.at("input")))
      return job->fail(make_failure(errc::invalid_input, "the input 'input' is not text"));
    job->ask<conversation>(
        memory_, [this, call](conversation& history) { reply(call, history); }, load_atom_v,
        call->key);
  }

  [[nodiscard]] bool streams() const override { return true; }

private:
  void reply(const conversation_call_ptr& call, const conversation& history) {
    values inputs{{"input", call->turn.human}};
    if (options_.prompt.is_chat())
      inputs.emplace("history", as_messages(history));
    else
      inputs.emplace("history", show_conversation(history));
    llm_request request;
    if (auto error = options_.prompt.fill(request, inputs))
      return call->job->fail(std::move(error));
    if (!options_.prompt.is_chat())
      request.stop = options_.stop;
    request.parameters = options_.parameters;
    call->job->ask_last(
        llm_,
        [this, call](llm_result& result) {
          if (result.completions.empty())
            return call->job->fail(
                make_failure(errc::malformed_response, "the LLM answered without a completion"));
          call->turn.ai = trimmed(result.text());
          remember(call);
        },
        std::move(request));
  }

  void remember(const conversation_call_ptr& call) {
    call->job->ask<void>(
        memory_,
        [call] {
          values outputs;
          outputs.emplace("response", std::move(call->turn.ai));
          call->job->answer(std::move(outputs));
        },
        save_atom_v, call->key, call->turn);
  }

  llm_actor llm_;
  memory_actor memory_;
  conversation_options options_;
};

} // namespace

chain_actor spawn_conversation_chain(
    caf::actor_system& system, llm_actor llm, memory_actor memory, conversation_options options) {
  if (!llm)
    throw std::invalid_argument{"a conversation chain needs a valid LLM actor"};
  if (!memory)
    throw std::invalid_argument{"a conversation chain needs a valid memory actor"};
  if (options.prompt.input_variables() != std::vector<std::string>{"history", "input"})
    throw std::invalid_argument{"the prompt of a conversation chain needs the variables {history} "
                                "and {input}, and no other"};
  return spawn_chain(system, {{"input"}, {"response"}},
      std::make_unique<conversation_state>(std::move(llm), std::move(memory), std::move(options)),
      "conversation");
}

} // namespace chainmail
