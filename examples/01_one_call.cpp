// One call: a prompt with a variable, asked of an LLM.
//
//   OPENAI_API_KEY=... 01_one_call socks
#include <chainmail/chainmail.hpp>

#include <iostream>

using namespace chainmail;

int main(int argc, char** argv) {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};

  // OPENAI_API_KEY and, for another endpoint, OPENAI_BASE_URL are read here.
  auto llm = spawn_llm(system, spawn_http(system));
  auto namer =
      spawn_llm_chain(system, llm, "What is a good name for a company that makes {product}?");

  caf::scoped_actor self{system};
  auto name = run(self, namer, std::string{argc > 1 ? argv[1] : "socks"});
  if (!name) {
    std::cerr << describe(name.error()) << '\n';
    return 1;
  }
  std::cout << *name << '\n';
}
