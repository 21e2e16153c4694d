// What another node costs: the same calls to a scripted LLM here, and to one in another process.
#include "bad_days.hpp"
#include "scenarios.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <iostream>
#include <memory>
#include <spawn.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;

/// What the issue of this scenario asks of a loopback on two cores.
constexpr double least_rate = 25'000;
constexpr double most_added_ms = 0.5;

constexpr size_t single_calls = 2'000;
constexpr size_t rounds = 5;

llm_actor spawn_echo(caf::actor_system& system) {
  return spawn_scripted_llm(system, [](const llm_request& request) {
    return scripted_reply{request.prompts.front(), {}, {}};
  });
}

/// This program as another process, which serves an LLM until its input ends.
class other_process {
public:
  other_process() {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0)
      throw std::runtime_error{"no pipe to another process"};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, from[1], STDOUT_FILENO);
    auto name = std::string{"chainmail-bench"};
    auto scenario = std::string{"--scenario=remote_node"};
    std::array<char*, 3> arguments{name.data(), scenario.data(), nullptr};
    auto failed =
        posix_spawn(&process_, "/proc/self/exe", &files, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    close(to[0]);
    close(from[1]);
    input_ = to[1];
    auto* output = fdopen(from[0], "r");
    auto port = 0;
    auto said = failed == 0 && std::fscanf(output, "%d", &port) == 1; // NOLINT(cert-err34-c)
    std::fclose(output);
    if (!said)
      throw std::runtime_error{"the other process did not start"};
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  other_process(const other_process&) = delete;
  other_process& operator=(const other_process&) = delete;
  ~other_process() {
    close(input_);
    waitpid(process_, nullptr, 0);
  }

  [[nodiscard]] const std::string& address() const { return address_; }

private:
  pid_t process_ = 0;
  int input_ = -1;
  std::string address_;
};

/// Milliseconds of calls, one after the other.
caf::expected<std::vector<double>> latencies(caf::scoped_actor& self, const llm_actor& llm) {
  std::vector<double> result;
  for (size_t i = 0; i < single_calls; ++i) {
    stopwatch watch;
    if (auto answer = generate(self, llm, "What is a good name?"); !answer)
      return std::move(answer.error());
    result.push_back(1e3 * watch.wall_s());
  }
  return result;
}

std::string prompt_of(size_t number) {
  return "What is a good name for a company that makes " + std::to_string(number) + "?";
}

struct crowd {
  std::vector<double> rates;
  size_t wrong = 0;
  std::string first_error;

  void check(const std::vector<outcome>& outcomes) {
    for (size_t i = 0; i < outcomes.size(); ++i) {
      const auto& each = outcomes[i];
      const auto* text = each.ok() ? find_text(each.result, "text") : nullptr;
      if (text != nullptr && *text == prompt_of(i))
        continue;
      ++wrong;
      if (first_error.empty())
        first_error = each.ok() ? "a wrong text" : describe(each.error);
    }
  }
};

/// All calls at once, several times.
caf::expected<crowd> run_crowds(
    caf::scoped_actor& self, const llm_actor& llm, const load& how_much) {
  auto chain =
      spawn_llm_chain(self->system(), llm, "What is a good name for a company that makes {x}?");
  gather_options options;
  options.max_in_flight = static_cast<uint32_t>(how_much.in_flight);
  crowd result;
  for (size_t round = 0; round < rounds; ++round) {
    std::vector<values> inputs;
    for (size_t i = 0; i < how_much.calls; ++i)
      inputs.push_back({{"x", std::to_string(i)}});
    stopwatch watch;
    auto outcomes = gather(self, chain, std::move(inputs), options);
    if (!outcomes)
      return std::move(outcomes.error());
    result.rates.push_back(static_cast<double>(how_much.calls) / watch.wall_s());
    result.check(*outcomes);
  }
  return result;
}

} // namespace

caf::expected<report> remote(caf::actor_system& system, const load& how_much) {
  other_process other;
  node_options options;
  options.join = {other.address()};
  node here{system, options};
  auto far = here.find<llm_actor>("llm");
  caf::scoped_actor self{system};
  if (auto warm = latencies(self, far); !warm)
    return std::move(warm.error());
  auto remote_ms = latencies(self, far);
  auto local_ms = latencies(self, spawn_echo(system));
  if (!remote_ms || !local_ms)
    return std::move(remote_ms ? local_ms.error() : remote_ms.error());
  auto all = run_crowds(self, far, how_much);
  if (!all)
    return std::move(all.error());
  auto added = percentile(*remote_ms, 0.5) - percentile(*local_ms, 0.5);
  auto rate = percentile(all->rates, 0.5);
  report_writer result{"remote"};
  result.add("calls", static_cast<uint64_t>(how_much.calls * rounds))
      .add("in_flight", static_cast<uint64_t>(how_much.in_flight))
      .add("wrong", static_cast<uint64_t>(all->wrong))
      .add("calls_per_s", rate)
      .add("calls_per_s_worst_round", percentile(all->rates, 0))
      .add("remote_p50_ms", percentile(*remote_ms, 0.5))
      .add("remote_p99_ms", percentile(*remote_ms, 0.99))
      .add("local_p50_ms", percentile(*local_ms, 0.5))
      .add("added_p50_ms", added);
  result.demand(
      all->wrong == 0, std::to_string(all->wrong) + " calls had no answer, or a wrong one");
  result.demand(rate >= least_rate, "only " + digits(rate) + " calls a second, not 25000");
  result.demand(added < most_added_ms, "a hop adds " + digits(added) + " ms, not less than 0.5");
  return result.finish(all->first_error);
}

caf::expected<report> remote_node(caf::actor_system& system, const load&) {
  node_options options;
  options.listen = "127.0.0.1:0";
  node here{system, options};
  here.offer("llm", spawn_echo(system), {.capacity = 100'000});
  std::cout << here.port() << std::endl;
  while (std::cin.get() != std::istream::traits_type::eof()) // until the other end is closed
    ;
  return report{"{}", {}, {}};
}

} // namespace chainmail::bench
