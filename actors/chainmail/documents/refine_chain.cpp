// Refining an answer.
#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/refine_chain.hpp>

#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

struct refine_call {
  job_ptr job;
  values inputs;
  std::vector<document> documents;
  size_t next = 0;
  std::vector<std::string> steps;
};

class refine_state : public chain_state {
public:
  refine_state(documents_slot initial, documents_slot refine, refine_options options)
    : initial_(std::move(initial)), refine_(std::move(refine)), options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto documents = take_documents(job->inputs, input_documents);
    if (!documents)
      return job->fail(std::move(documents.error()));
    if (documents->empty())
      return job->fail(make_failure(errc::invalid_input, "there is no document to begin with"));
    auto call = std::make_shared<refine_call>();
    call->job = job;
    call->documents = std::move(*documents);
    call->inputs = std::move(job->inputs);
    step(call, initial_);
  }

  [[nodiscard]] bool streams() const override { return initial_.streams() && refine_.streams(); }

private:
  void step(const std::shared_ptr<refine_call>& call, const documents_slot& chain) {
    auto text = format_document(options_.document_prompt, call->documents[call->next++]);
    if (!text)
      return call->job->fail(std::move(text.error()));
    auto go_on = [this, call](std::string& answer) {
      if (options_.return_intermediate_steps)
        call->steps.push_back(answer);
      if (call->next == call->documents.size())
        return finish(*call, std::move(answer));
      call->inputs.insert_or_assign(options_.answer_variable, std::move(answer));
      step(call, refine_);
    };
    if (call->next == call->documents.size())
      chain.ask_last(call->job, call->inputs, std::move(*text), go_on);
    else
      chain.ask(call->job, call->inputs, std::move(*text), go_on);
  }

  void finish(refine_call& call, std::string answer) const {
    values outputs;
    outputs.emplace(output_text, std::move(answer));
    if (options_.return_intermediate_steps)
      outputs.emplace(intermediate_steps, std::move(call.steps));
    call.job->answer(std::move(outputs));
  }

  documents_slot initial_;
  documents_slot refine_;
  refine_options options_;
};

} // namespace

chain_actor spawn_refine_chain(
    caf::actor_system& system, refine_parts parts, refine_options options) {
  documents_slot initial{
      system, std::move(parts.initial), options.document_variable, "the initial chain"};
  auto wiring = describe(system, parts.refine, "the refine chain");
  if (!takes(wiring, options.answer_variable))
    throw std::invalid_argument{
        "the refine chain does not take '" + options.answer_variable + "', the answer so far"};
  documents_slot refine{
      system, std::move(parts.refine), options.document_variable, "the refine chain"};
  auto description = initial.outer_description({});
  for (auto& key : refine.outer_description({options.answer_variable}).input_keys)
    description.input_keys.push_back(std::move(key));
  if (options.return_intermediate_steps)
    description.output_keys.emplace_back(intermediate_steps);
  return spawn_chain(system, std::move(description),
      std::make_unique<refine_state>(std::move(initial), std::move(refine), std::move(options)),
      "refine");
}

} // namespace chainmail
