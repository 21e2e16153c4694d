// A conversation over documents: LangChain's ChatVectorDBChain, later ConversationalRetrievalChain.
#pragma once

#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/fwd.hpp>

#include <optional>

namespace chainmail {

struct chat_vector_db_options {
  /// How the documents become an answer, when `documents_chain` is null.
  qa_type type = qa_type::stuff;
  qa_options qa = {};
  /// Takes "input_documents" and "question", gives one output, or an "answer" and others, which go
  /// out under their own names (a qa_with_sources chain: "sources"). Null: spawn_qa_chain's.
  chain_actor documents_chain = {};
  /// Makes a standalone question of a follow-up: takes "chat_history" and "question", gives one
  /// output. Null: an LLM chain with `condense_prompt`, or with chainmail's own.
  chain_actor condense_chain = {};
  std::optional<prompt_template> condense_prompt = {};
  /// How many documents to look up.
  uint32_t k = 4;
  /// Documents beyond this many tokens are left out, the least near first; 0 for no limit.
  size_t max_tokens_limit = 0;
  /// Empty: qa.count_tokens, or measure_tokens_of the model of qa.parameters.
  token_measure count_tokens = {};
  /// Keeps the conversations, each under the input "conversation". Null: the history comes with each
  /// call, or there is none.
  memory_actor memory = {};
  /// Adds the output "source_documents": the documents that the answer was made from, best first.
  bool return_source_documents = false;
};

/// Spawns a chain that answers questions in a conversation over documents. In: "question", and
/// optionally "chat_history" (see read_chat_history) or, with a memory, "conversation" (a text,
/// "default" when left out). Out: "answer". With a history, one call makes a standalone question of
/// it and the question; the documents are looked up and asked with that one. Without, there is no
/// such call. A chat_history that comes with a call is used in place of the memory's. The turn is in
/// the memory before the answer goes out; a failed call leaves nothing there.
/// @throws std::invalid_argument for invalid handles, chains that do not fit their slots, or k = 0.
chain_actor spawn_chat_vector_db_chain(caf::actor_system& system, llm_actor llm,
    retriever_actor retriever, chat_vector_db_options options = {});

/// Its later name.
inline chain_actor spawn_conversational_retrieval_chain(caf::actor_system& system, llm_actor llm,
    retriever_actor retriever, chat_vector_db_options options = {}) {
  return spawn_chat_vector_db_chain(
      system, std::move(llm), std::move(retriever), std::move(options));
}

// -- the pure part ------------------------------------------------------------------------

/// Keeps the first documents that are together at most `most` tokens long.
void cut_documents(
    std::vector<scored_document>& documents, size_t most, const token_measure& count_tokens);

} // namespace chainmail
