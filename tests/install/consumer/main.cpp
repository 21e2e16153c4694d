// Five answers at once, first by a gather of the program's own, then through an actor of its own.
#include "shop.hpp"

#include <iostream>

using namespace chainmail;

int main() {
  init_types<caf::id_block::shop>();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto llm = spawn_llm(system, spawn_http(system));
  auto namer =
      spawn_llm_chain(system, llm, "What is a good name for a company that makes {product}?");
  caf::scoped_actor self{system};
  auto answers = gather(self, namer, std::vector<values>(5, {{"product", "socks"}}));
  if (!answers) {
    std::cerr << describe(answers.error()) << '\n';
    return 1;
  }
  for (const auto& answer : *answers)
    std::cout << (answer.ok() ? *find_text(answer.result, "text") : describe(answer.error)) << '\n';
  auto status = 1;
  compat::request(self.ptr(), spawn_shop(system, namer), order{"socks", 2})
      .receive(
          [&status](const std::vector<std::string>& names) {
            std::cout << "the shop says " << names.size() << " names\n";
            status = names.size() == 2 ? 0 : 1;
          },
          [](const caf::error& error) { std::cerr << describe(error) << '\n'; });
  return status;
}
