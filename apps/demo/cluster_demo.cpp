// Workers as processes, and what is seen of their calls.
#include "cluster_demo.hpp"

#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/cluster/node.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace chainmail::demo {

namespace {

using namespace std::literals;
using clock = std::chrono::steady_clock;

double seconds_of(clock::duration x) {
  return std::chrono::duration<double>(x).count();
}

/// A chainmail-node beside this program.
class worker_process {
public:
  explicit worker_process(std::vector<std::string> arguments) {
    auto path = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "chainmail-node");
    if (!std::filesystem::exists(path))
      throw std::runtime_error{path.string() + " is not there: build it first (./run build)"};
    auto program = path.string();
    std::vector<char*> pointers{program.data()};
    for (auto& each : arguments)
      pointers.push_back(each.data());
    pointers.push_back(nullptr);
    auto parent = getpid();
    process_ = fork();
    if (process_ == 0) {
      // Its end comes with this process's, whatever that is.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
      dup2(nowhere, STDIN_FILENO);
      dup2(nowhere, STDOUT_FILENO);
      if (getppid() == parent)
        execv(pointers.front(), pointers.data());
      _exit(127);
    }
    if (process_ < 0)
      throw std::runtime_error{"no process for a node"};
  }
  worker_process(const worker_process&) = delete;
  worker_process& operator=(const worker_process&) = delete;
  ~worker_process() {
    kill(process_, SIGTERM);
    waitpid(process_, nullptr, 0);
  }

  void end_at_once() const { kill(process_, SIGKILL); }

  [[nodiscard]] bool has_ended() const {
    siginfo_t state{};
    return waitid(P_PID, static_cast<id_t>(process_), &state, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           state.si_pid == process_;
  }

private:
  pid_t process_ = 0;
};

/// What the recorder keeps.
struct record {
  std::mutex mutex;
  std::set<std::string> nodes;
  clock::time_point start;
  std::vector<node_call> calls;
  size_t answered = 0;
  std::function<void(const node_call&)> on_answer;

  void add(clock::time_point asked, const llm_result& result) {
    std::lock_guard guard{mutex};
    auto begin = seconds_of(asked - start);
    auto end = seconds_of(clock::now() - start);
    auto was_moved = false;
    for (const auto& lost : result.attempts) {
      if (!nodes.contains(lost.target))
        continue; // an attempt that its node made
      auto from = begin + seconds_of(lost.started);
      auto to = from + seconds_of(lost.took);
      calls.push_back(
          {lost.target, from, to, false, false, "lost; " + result.node + " answered it"});
      begin = to;
      was_moved = true;
    }
    calls.push_back({result.node, begin, end, true, was_moved, one_line(result.text(), 200)});
    ++answered;
    on_answer(calls.back());
  }
};

/// An LLM that asks another one, and keeps which node answered when.
llm_actor::behavior_type recorder(
    llm_actor::pointer self, const llm_actor& asked, const std::shared_ptr<record>& kept) {
  return {
      [self, asked, kept](generate_atom, llm_request& request, call_context& context) {
        auto caller = self->make_response_promise<llm_result>();
        generate(self, asked, std::move(request), std::move(context))
            .then(
                [caller, kept, at = clock::now()](llm_result& result) mutable {
                  kept->add(at, result);
                  caller.deliver(std::move(result));
                },
                [caller](caf::error& error) mutable { caller.deliver(std::move(error)); });
        return caller;
      },
      [](stream_atom, const llm_request&, const sink_actor&,
          const call_context&) -> caf::result<llm_result> {
        return make_failure(errc::unsupported, "the demo does not stream");
      },
      [self, asked](
          cancel_atom, const call_id& id) { compat::send(self, asked, cancel_atom_v, id); },
  };
}

std::vector<std::unique_ptr<worker_process>> start_workers(
    const cluster_plan& plan, const std::vector<std::string>& names, uint16_t port) {
  std::vector<std::unique_ptr<worker_process>> result;
  // Such that the others have room for all, when one is gone.
  auto others = std::max<size_t>(plan.nodes - 1, 1);
  auto share = (plan.calls + others - 1) / others;
  for (const auto& name : names) {
    std::vector<std::string> arguments{"--role=worker", "--name=" + name,
        "--capacity=" + std::to_string(share), "--join=127.0.0.1:" + std::to_string(port),
        "--llm.base-url=" + plan.base_url};
    if (!plan.model.empty())
      arguments.push_back("--llm.model=" + plan.model);
    if (plan.chat)
      arguments.emplace_back("--chat");
    result.push_back(std::make_unique<worker_process>(std::move(arguments)));
  }
  return result;
}

void note_outcomes(cluster_run& run, const std::vector<outcome>& outcomes) {
  for (const auto& each : outcomes)
    if (!each.ok() && run.error.empty())
      run.error = describe(each.error);
}

} // namespace

size_t cluster_run::lost() const {
  return static_cast<size_t>(
      std::ranges::count_if(calls, [](const node_call& x) { return !x.ok; }));
}

cluster_run run_cluster(caf::actor_system& system, const cluster_plan& plan,
    const std::function<void(const node_call&)>& on_answer) {
  cluster_run run;
  for (size_t i = 1; i <= plan.nodes; ++i)
    run.nodes.push_back("node-" + std::to_string(i));
  node_options options;
  options.name = "demo";
  options.listen = "127.0.0.1:0";
  node here{system, options};
  auto workers = start_workers(plan, run.nodes, here.port());
  for (auto until = clock::now() + 10s; !here.wait_for_peers(plan.nodes, 100ms);) {
    if (std::ranges::any_of(workers, [](const auto& each) { return each->has_ended(); }))
      throw std::runtime_error{"a node ended before it began: its error stands above"};
    if (clock::now() > until)
      throw std::runtime_error{"the nodes did not start within 10 seconds"};
  }
  auto kept = std::make_shared<record>();
  kept->nodes.insert(run.nodes.begin(), run.nodes.end());
  kept->on_answer = on_answer;
  auto llm = system.spawn(recorder, here.find<llm_actor>("llm"), kept);
  auto chain = spawn_llm_chain(system, llm, prompt_template{plan.prompt});
  kept->start = clock::now();
  std::future<void> accident;
  if (plan.nodes > 1)
    accident = std::async(std::launch::async, [&] {
      std::this_thread::sleep_until(kept->start + plan.kill_after);
      workers[plan.nodes / 2]->end_at_once();
      run.killed_at_s = seconds_of(clock::now() - kept->start);
      run.killed = run.nodes[plan.nodes / 2];
    });
  caf::scoped_actor self{system};
  auto outcomes = gather(
      self, chain, std::vector<values>(plan.calls, plan.inputs), {}, std::chrono::minutes{5});
  run.seconds = seconds_of(clock::now() - kept->start);
  if (accident.valid())
    accident.get();
  if (outcomes)
    note_outcomes(run, *outcomes);
  else
    run.error = describe(outcomes.error());
  std::lock_guard guard{kept->mutex};
  run.calls = kept->calls;
  run.asked = plan.calls;
  run.answered = kept->answered;
  run.heard = outcomes ? static_cast<size_t>(std::ranges::count_if(*outcomes, &outcome::ok)) : 0;
  std::ranges::stable_sort(run.calls, {}, &node_call::start_s);
  return run;
}

std::vector<bar_group> to_bars(const cluster_run& run) {
  std::vector<bar_group> result;
  for (const auto& name : run.nodes) {
    bar_group group{name, run.seconds, {}};
    if (name == run.killed)
      group.title += ", killed at " + show_seconds(run.killed_at_s);
    for (const auto& each : run.calls)
      if (each.node == name)
        group.bars.push_back({each.start_s, each.end_s, each.ok,
            (each.was_moved ? "(taken over) " : "") + each.label});
    result.push_back(std::move(group));
  }
  return result;
}

std::string sentence_of(const cluster_run& run) {
  auto counted =
      std::to_string(run.answered) + " of " + std::to_string(run.asked) + " calls answered" +
      (run.answered == run.asked && run.heard == run.asked ? ", none of them twice." : ".");
  if (run.killed.empty())
    return counted;
  auto lost = run.lost();
  if (lost == 0)
    return run.killed + " was killed at " + show_seconds(run.killed_at_s) +
           ", with no call under way: " + counted;
  return run.killed + " was killed at " + show_seconds(run.killed_at_s) + " with " +
         std::to_string(lost) + " calls under way, which other nodes answered: " + counted;
}

std::string table_of(const cluster_run& run) {
  std::string result = "node       answered  taken over  lost\n";
  for (const auto& name : run.nodes) {
    size_t answered = 0;
    size_t moved = 0;
    size_t lost = 0;
    for (const auto& each : run.calls)
      if (each.node == name) {
        answered += each.ok ? 1 : 0;
        moved += each.was_moved ? 1 : 0;
        lost += each.ok ? 0 : 1;
      }
    char line[96];
    std::snprintf(line, sizeof line, "%-10s %8zu %11zu %5zu", name.c_str(), answered, moved, lost);
    result += line;
    if (name == run.killed)
      result += "  killed at " + show_seconds(run.killed_at_s);
    result += "\n";
  }
  return result;
}

std::string to_json(const cluster_run& run) {
  std::map<std::string, size_t> answered;
  for (const auto& each : run.calls)
    answered[each.node] += each.ok ? 1 : 0;
  std::string by_node;
  for (const auto& name : run.nodes)
    by_node += (by_node.empty() ? "\"" : ",\"") + name + "\":" + std::to_string(answered[name]);
  char text[256];
  std::snprintf(text, sizeof text,
      R"({"nodes":%zu,"calls":%zu,"answered":%zu,"killed":"%s","killed_at_s":%.4f,"lost":%zu,)",
      run.nodes.size(), run.asked, run.answered, run.killed.c_str(), run.killed_at_s, run.lost());
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.4f", run.seconds);
  return text + ("\"seconds\":" + std::string{seconds}) + ",\"by_node\":{" + by_node + "}}";
}

} // namespace chainmail::demo
