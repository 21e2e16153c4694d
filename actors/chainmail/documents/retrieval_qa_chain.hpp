// Questions answered from documents that are looked up first.
#pragma once

#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

namespace chainmail {

struct retrieval_qa_options {
  /// How the documents become an answer, when `documents_chain` is null.
  qa_type type = qa_type::stuff;
  qa_options qa = {};
  /// Takes "input_documents" and "question". Null: spawn_qa_chain's.
  chain_actor documents_chain = {};
  /// How many documents to look up.
  uint32_t k = 4;
  /// Adds the output "source_documents": the documents that the answer was made from, best first.
  bool return_source_documents = false;
};

/// Spawns LangChain's RetrievalQA, earlier VectorDBQA. In: "query". Out: "result" if the documents
/// chain has one output, else its outputs under their own names (a qa_with_sources chain: "answer",
/// "sources"). Similarity or maximal marginal relevance is the retriever's choice.
/// @throws std::invalid_argument for invalid handles, or k = 0.
chain_actor spawn_retrieval_qa_chain(caf::actor_system& system, llm_actor llm,
    retriever_actor retriever, retrieval_qa_options options = {});

} // namespace chainmail
