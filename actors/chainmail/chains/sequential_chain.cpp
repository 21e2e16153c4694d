// Checking the order of chains once, and following it at each call.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/sequential_chain.hpp>
#include <chainmail/chains/wiring.hpp>

#include <set>
#include <stdexcept>

namespace chainmail {

namespace {

struct stage {
  chain_actor chain;
  chain_description wiring;
  /// "chain 2 of the sequence"
  std::string name;
};

/// The keys that are known after some of the chains.
class known_keys {
public:
  explicit known_keys(const std::vector<std::string>& declared)
    : takes_what_is_needed_(declared.empty()), known_(declared.begin(), declared.end()) {}

  void pass(const stage& next) {
    for (const auto& key : next.wiring.input_keys)
      if (!known_.contains(key)) {
        if (!takes_what_is_needed_)
          throw std::invalid_argument{
              next.name + " needs '" + key +
              "', which is neither an input of the whole nor an output of a chain before it"};
        known_.insert(key);
        needed.push_back(key);
      }
    for (const auto& key : next.wiring.output_keys)
      if (!known_.insert(key).second)
        throw std::invalid_argument{
            next.name + " gives '" + key +
            "', which is already an input of the whole or an output of a chain before it"};
  }

  [[nodiscard]] bool has(const std::string& key) const { return known_.contains(key); }

  /// Inputs that were not declared.
  std::vector<std::string> needed;

private:
  bool takes_what_is_needed_;
  std::set<std::string> known_;
};

class sequential_state : public chain_state {
public:
  sequential_state(std::vector<stage> stages, std::vector<std::string> outputs)
    : stages_(std::move(stages)), outputs_(std::move(outputs)) {}

  void run(const job_ptr& job) override { step(job, 0); }

  [[nodiscard]] bool streams() const override { return may_stream(stages_.back().chain); }

private:
  /// The job's inputs grow into all that is known.
  void step(const job_ptr& job, size_t index) {
    if (index == stages_.size())
      return finish(*job);
    auto go_on = [this, job, index](values& answer) {
      if (auto error = keep_outputs(stages_[index].wiring, answer, stages_[index].name))
        return job->fail(std::move(error));
      for (auto& [key, given] : answer)
        job->inputs.insert_or_assign(key, std::move(given));
      step(job, index + 1);
    };
    if (index + 1 == stages_.size())
      job->ask_last(stages_[index].chain, go_on, job->inputs);
    else
      job->ask<values>(stages_[index].chain, go_on, call_atom_v, job->inputs);
  }

  void finish(chain_job& job) const {
    values outputs;
    for (const auto& key : outputs_)
      outputs.insert(job.inputs.extract(key));
    job.answer(std::move(outputs));
  }

  std::vector<stage> stages_;
  std::vector<std::string> outputs_;
};

} // namespace

chain_actor spawn_sequential_chain(
    caf::actor_system& system, std::vector<chain_actor> chains, sequential_options options) {
  if (chains.empty())
    throw std::invalid_argument{"a sequential chain needs at least one chain"};
  known_keys known{options.input_keys};
  std::vector<stage> stages;
  for (auto& chain : chains) {
    auto name = "chain " + std::to_string(stages.size() + 1) + " of the sequence";
    auto wiring = describe(system, chain, name);
    stages.push_back({std::move(chain), std::move(wiring), std::move(name)});
    known.pass(stages.back());
  }
  if (options.input_keys.empty())
    options.input_keys = std::move(known.needed);
  if (options.output_keys.empty())
    options.output_keys = stages.back().wiring.output_keys;
  for (const auto& key : options.output_keys)
    if (!known.has(key))
      throw std::invalid_argument{
          "the sequential chain is to give '" + key + "', but none of its chains gives that"};
  auto outputs = sorted_keys(std::move(options.output_keys));
  return spawn_chain(system, {std::move(options.input_keys), outputs},
      std::make_unique<sequential_state>(std::move(stages), outputs), "sequential");
}

} // namespace chainmail
