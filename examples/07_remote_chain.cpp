// A chain on another node, used like one of this process. Both nodes are in this program; they talk
// over a socket all the same.
//
//   OPENAI_API_KEY=... 07_remote_chain
#include <chainmail/chainmail.hpp>

#include <iostream>

using namespace chainmail;
using namespace std::chrono_literals;

namespace {

struct node_config : caf::actor_system_config {
  node_config() {
    load_cluster(*this);
    tune_scheduler(*this);
  }
};

} // namespace

int main() {
  init_types();

  // Machine A has the key, and offers a chain.
  node_config server_config;
  caf::actor_system server_system{server_config};
  node server{server_system, {.name = "a", .listen = "127.0.0.1:0"}};
  auto llm = spawn_llm(server_system, spawn_http(server_system));
  server.offer("names", spawn_llm_chain(server_system, llm, "Name a company for {product}."));

  // Machine B joins it, and finds the chain by its name.
  node_config client_config;
  caf::actor_system client_system{client_config};
  node client{client_system, {.join = {"127.0.0.1:" + std::to_string(server.port())}}};
  auto names = client.find<chain_actor>("names");
  auto status = 0;
  {
    caf::scoped_actor self{client_system};
    auto answers = gather(self, names, std::vector<values>(5, {{"product", "socks"}}), {}, 30s);
    if (!answers) {
      std::cerr << describe(answers.error()) << '\n';
      status = 1;
    } else {
      for (const auto& answer : *answers)
        std::cout << (answer.ok() ? *find_text(answer.result, "text") : describe(answer.error))
                  << '\n';
    }
  }
  client.leave(1s);
  server.leave(1s);
  return status;
}
