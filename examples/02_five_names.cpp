// Five names at once, then one after another, and what that costs in time.
//
//   OPENAI_API_KEY=... 02_five_names
#include <chainmail/chainmail.hpp>

#include <chrono>
#include <iostream>

using namespace chainmail;
using clock_type = std::chrono::steady_clock;

namespace {

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

} // namespace

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto llm = spawn_llm(system, spawn_http(system));
  auto namer =
      spawn_llm_chain(system, llm, "What is a good name for a company that makes {product}?");
  caf::scoped_actor self{system};

  auto start = clock_type::now();
  auto answers = gather(self, namer, std::vector<values>(5, {{"product", "toothpaste"}}));
  if (!answers) {
    std::cerr << describe(answers.error()) << '\n';
    return 1;
  }
  for (const auto& answer : *answers) // one error does not cost the other answers
    std::cout << (answer.ok() ? *find_text(answer.result, "text") : describe(answer.error)) << '\n';
  std::cout << "concurrent: " << seconds_since(start) << " s\n";

  start = clock_type::now();
  for (auto i = 0; i < 5; ++i) {
    auto name = run(self, namer, "toothpaste");
    std::cout << (name ? *name : describe(name.error())) << '\n';
  }
  std::cout << "serial: " << seconds_since(start) << " s\n";
}
