// Questions over documents: split, embed, index, retrieve, answer.
//
//   OPENAI_API_KEY=... 06_questions_over_documents
#include <chainmail/chainmail.hpp>

#include <iostream>

using namespace chainmail;

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  caf::scoped_actor self{system};
  auto http = spawn_http(system);
  auto endpoint = openai_options::from_environment();
  auto llm = spawn_llm(system, http);
  auto embedder = spawn_openai_embedder(system, http, endpoint);

  std::vector<document> handbook{
      {"Socks are washed at 40 degrees. Wool socks are washed by hand.", {{"source", "care.md"}}},
      {"Orders of more than 50 euros are sent free of charge.", {{"source", "shipping.md"}}},
      {"Socks can be returned within 30 days if they were not worn.", {{"source", "returns.md"}}}};
  auto splitter = text_splitter::recursive({.chunk_size = 200, .chunk_overlap = 20});
  auto index = spawn_vector_index(system); // in memory; {.folder = "..."} keeps it on disk
  auto added = add_documents(self, embedder, index, splitter->split(handbook));
  if (!added) {
    std::cerr << describe(added.error()) << '\n';
    return 1;
  }

  auto retriever = spawn_retriever(system, embedder, index);
  auto qa =
      spawn_retrieval_qa_chain(system, llm, retriever, {.k = 1, .return_source_documents = true});
  auto answer = call(self, qa, {{"query", "When can socks be returned?"}});
  if (!answer) {
    std::cerr << describe(answer.error()) << '\n';
    return 1;
  }
  std::cout << *find_text(*answer, "result") << '\n';
  for (const auto& source : std::get<std::vector<document>>(answer->at("source_documents")))
    std::cout << "  from " << source.metadata.at("source") << '\n';
}
