// Retrieve, answer.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/retrieval_qa_chain.hpp>

#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

class retrieval_qa_state : public chain_state {
public:
  retrieval_qa_state(retriever_actor retriever, chain_actor documents_chain,
      chain_description documents_wiring, uint32_t k, bool return_documents)
    : retriever_(std::move(retriever)),
      documents_chain_(std::move(documents_chain)),
      documents_wiring_(std::move(documents_wiring)),
      k_(k),
      return_documents_(return_documents) {}

  void run(const job_ptr& job) override {
    auto query = get_text(job->inputs, "query");
    if (!query)
      return job->fail(std::move(query.error()));
    retrieval_query wanted{*query, k_, {}};
    job->ask<std::vector<scored_document>>(
        retriever_,
        [this, job, question = std::move(*query)](std::vector<scored_document>& found) mutable {
          answer(job, std::move(question), found);
        },
        retrieve_atom_v, std::move(wanted));
  }

  [[nodiscard]] bool streams() const override { return may_stream(documents_chain_); }

private:
  void answer(const job_ptr& job, std::string question, std::vector<scored_document>& found) const {
    std::vector<document> documents;
    documents.reserve(found.size());
    for (auto& one : found)
      documents.push_back(std::move(one.found));
    std::vector<document> sources;
    if (return_documents_)
      sources = documents;
    auto inputs = std::move(job->inputs);
    inputs.insert_or_assign("question", std::move(question));
    inputs.insert_or_assign(input_documents, std::move(documents));
    job->ask_last(
        documents_chain_,
        [this, job, sources = std::move(sources)](values& outputs) mutable {
          if (auto error = keep_outputs(documents_wiring_, outputs, "the documents chain"))
            return job->fail(std::move(error));
          if (outputs.size() == 1) {
            auto only = outputs.extract(outputs.begin());
            only.key() = "result";
            outputs.insert(std::move(only));
          }
          if (return_documents_)
            outputs.insert_or_assign("source_documents", std::move(sources));
          job->answer(std::move(outputs));
        },
        std::move(inputs));
  }

  retriever_actor retriever_;
  chain_actor documents_chain_;
  chain_description documents_wiring_;
  uint32_t k_;
  bool return_documents_;
};

} // namespace

chain_actor spawn_retrieval_qa_chain(caf::actor_system& system, llm_actor llm,
    retriever_actor retriever, retrieval_qa_options options) {
  if (!retriever)
    throw std::invalid_argument{"a retrieval chain needs a valid retriever actor"};
  if (options.k == 0)
    throw std::invalid_argument{"retrieval_qa_options::k must be at least 1"};
  if (!options.documents_chain)
    options.documents_chain = spawn_qa_chain(system, std::move(llm), options.type, options.qa);
  auto wiring = describe(system, options.documents_chain, "the documents chain");
  if (!takes(wiring, input_documents))
    throw std::invalid_argument{"the documents chain does not take 'input_documents'"};
  chain_description description{{"query"}, {}};
  for (const auto& key : wiring.input_keys)
    if (key != input_documents && key != "question")
      description.input_keys.push_back(key);
  if (wiring.output_keys.size() == 1)
    description.output_keys.emplace_back("result");
  else
    description.output_keys = wiring.output_keys;
  if (options.return_source_documents)
    description.output_keys.emplace_back("source_documents");
  return spawn_chain(system, std::move(description),
      std::make_unique<retrieval_qa_state>(std::move(retriever), std::move(options.documents_chain),
          std::move(wiring), options.k, options.return_source_documents),
      "retrieval_qa");
}

} // namespace chainmail
