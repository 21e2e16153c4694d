// One rate limit for several chains: they queue for it together, and nobody sees a 429.
//
//   OPENAI_API_KEY=... 05_shared_rate_limit
#include <chainmail/chainmail.hpp>

#include <chrono>
#include <iostream>

using namespace chainmail;

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto http = spawn_http(system);

  // 600 a minute are 10 a second, of which 2 may go at once after a rest.
  rate_limiter_options limits;
  limits.defaults.requests_per_minute = 600;
  limits.defaults.request_burst = 2;
  auto limiter = spawn_rate_limiter(system, limits);

  // Two LLMs with settings of their own, one key, one limit.
  llm_config careful;
  careful.limiter = limiter;
  careful.endpoint.defaults.temperature = 0;
  llm_config creative;
  creative.limiter = limiter;
  creative.endpoint.defaults.temperature = 0.9;
  auto namer =
      spawn_llm_chain(system, spawn_llm(system, http, creative), "Name a company for {product}.");
  auto critic =
      spawn_llm_chain(system, spawn_llm(system, http, careful), "What is wrong with {product}?");
  auto both = spawn_parallel_chain(system, {{"name", namer}, {"critique", critic}});

  std::vector<values> inputs;
  for (auto i = 0; i < 4; ++i)
    inputs.push_back({{"product", "socks of kind " + std::to_string(i)}});
  caf::scoped_actor self{system};
  auto start = std::chrono::steady_clock::now();
  auto answers = gather(self, both, inputs); // 8 requests: 2 at once, 6 that wait 100 ms each
  if (!answers) {
    std::cerr << describe(answers.error()) << '\n';
    return 1;
  }
  auto answered = std::count_if(
      answers->begin(), answers->end(), [](const outcome& answer) { return answer.ok(); });
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << answered << " of 4 answered in " << took.count() << " s\n";
}
