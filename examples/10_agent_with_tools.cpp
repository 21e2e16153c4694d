// A question that takes three tools, two of them at the same time, and a picture of when each ran.
//
//   OPENAI_API_KEY=... 10_agent_with_tools
#include <chainmail/chainmail.hpp>

#include <chrono>
#include <iomanip>
#include <iostream>
#include <thread>

using namespace chainmail;
using namespace std::chrono_literals;

namespace {

constexpr auto takes_a_city =
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})";

/// Stands for a question to a database: it waits, so the tool has a thread of its own.
tool_actor look_up(caf::actor_system& system, tool_description what, std::string answer) {
  return spawn_blocking_tool(system, std::move(what), [answer](const std::string&) {
    std::this_thread::sleep_for(300ms);
    return answer;
  });
}

void draw(const std::vector<agent_step>& steps) {
  for (const auto& step : steps) {
    auto columns = [](caf::timespan time) { return static_cast<size_t>(time / 25ms); };
    auto bar = std::string(columns(step.started), ' ') +
               std::string(std::max<size_t>(columns(step.took), 1), '#');
    std::cout << std::left << std::setw(12) << step.action.name << std::setw(48) << bar
              << std::chrono::duration<double>(step.started).count() << " s + "
              << std::chrono::duration<double>(step.took).count() << " s  " << step.observation
              << '\n';
  }
}

} // namespace

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  llm_config settings;
  settings.endpoint = openai_options::from_environment();
  settings.endpoint.api = openai_api::chat;
  auto llm = spawn_llm(system, spawn_http(system), settings);

  agent_options options;
  options.return_intermediate_steps = true;
  auto agent = spawn_tool_agent(system, llm,
      {look_up(system, {"population", "How many people live in a city.", takes_a_city}, "709037"),
          look_up(
              system, {"area", "The area of a city in square kilometres.", takes_a_city}, "454"),
          spawn_calculator_tool(system)},
      options);

  caf::scoped_actor self{system};
  auto answer = call(self, agent,
      {{"input", "How many people live in Oslo, and what is the area of Oslo, then divide the one "
                 "by the other"}});
  if (!answer) {
    std::cerr << describe(answer.error()) << '\n';
    return 1;
  }
  std::cout << *find_text(*answer, "output") << "\n\n";
  draw(steps_of(*answer));
}
