// The stuff chain: join, ask, hand on.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/format_documents.hpp>
#include <chainmail/documents/stuff_chain.hpp>

#include <caf/expected.hpp>

namespace chainmail {

namespace {

class stuff_state : public chain_state {
public:
  stuff_state(documents_slot into, stuff_options options)
    : chain_(std::move(into)), options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto documents = take_documents(job->inputs, input_documents);
    if (!documents)
      return job->fail(std::move(documents.error()));
    auto text = join_documents(options_.document_prompt, *documents, options_.separator);
    if (!text)
      return job->fail(std::move(text.error()));
    chain_.ask_last(job, std::move(job->inputs), std::move(*text), [job](std::string& answer) {
      job->answer({{output_text, std::move(answer)}});
    });
  }

  [[nodiscard]] bool streams() const override { return chain_.streams(); }

private:
  documents_slot chain_;
  stuff_options options_;
};

} // namespace

chain_actor spawn_stuff_chain(caf::actor_system& system, chain_actor chain, stuff_options options) {
  documents_slot slot{
      system, std::move(chain), options.document_variable, "the stuff chain's chain"};
  auto description = slot.outer_description({});
  return spawn_chain(system, std::move(description),
      std::make_unique<stuff_state>(std::move(slot), std::move(options)), "stuff");
}

} // namespace chainmail
