// A retriever where an LLM is wanted.
// says: incompatible handle
#include <chainmail/chainmail.hpp>

#ifdef MISTAKE
chainmail::chain_actor made(caf::actor_system& system, const chainmail::retriever_actor& found) {
  return chainmail::spawn_llm_chain(system, found, "What is {thing}?"); // here
}
#else
chainmail::chain_actor made(caf::actor_system& system, const chainmail::llm_actor& llm) {
  return chainmail::spawn_llm_chain(system, llm, "What is {thing}?");
}
#endif
