// Fanning out to branches, and naming what comes back.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/parallel_chain.hpp>
#include <chainmail/chains/wiring.hpp>

#include <stdexcept>
#include <vector>

namespace chainmail {

namespace {

struct branch {
  std::string key;
  chain_actor chain;
  chain_description wiring;
  /// "the branch 'x'"
  std::string name;
};

class parallel_state : public chain_state {
public:
  explicit parallel_state(std::vector<branch> branches) : branches_(std::move(branches)) {}

  void run(const job_ptr& job) override {
    auto outputs = std::make_shared<values>();
    auto start = [this, job, outputs](bounded_steps& steps, size_t index) {
      job->ask<values>(
          branches_[index].chain,
          [this, job, outputs, index, all = steps.shared_from_this()](values& answer) {
            const auto& [key, chain, wiring, name] = branches_[index];
            if (auto error = keep_outputs(wiring, answer, name))
              return job->fail(std::move(error));
            outputs->emplace(key, std::move(answer.begin()->second));
            all->finished_one();
          },
          call_atom_v, job->inputs);
    };
    auto all_done = [job, outputs] { job->answer(std::move(*outputs)); };
    std::make_shared<bounded_steps>(job, branches_.size(), branches_.size(), start, all_done)
        ->pump();
  }

private:
  std::vector<branch> branches_;
};

} // namespace

chain_actor spawn_parallel_chain(
    caf::actor_system& system, const std::map<std::string, chain_actor>& branches) {
  if (branches.empty())
    throw std::invalid_argument{"a parallel chain needs at least one branch"};
  chain_description description;
  std::vector<branch> wired;
  for (const auto& [key, chain] : branches) {
    auto name = "the branch '" + key + "'";
    auto wiring = describe(system, chain, name);
    only_output(wiring, name);
    for (const auto& input : wiring.input_keys)
      description.input_keys.push_back(input);
    description.output_keys.push_back(key);
    wired.push_back({key, chain, std::move(wiring), std::move(name)});
  }
  return spawn_chain(system, std::move(description),
      std::make_unique<parallel_state>(std::move(wired)), "parallel");
}

} // namespace chainmail
