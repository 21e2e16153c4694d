// One value on its way through several chains.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/simple_sequential_chain.hpp>
#include <chainmail/chains/wiring.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

struct simple_stage {
  chain_actor chain;
  chain_description wiring;
  /// "chain 2 of the sequence"
  std::string name;
};

class simple_sequential_state : public chain_state {
public:
  explicit simple_sequential_state(std::vector<simple_stage> stages) : stages_(std::move(stages)) {}

  void run(const job_ptr& job) override { step(job, 0, std::move(job->inputs["input"])); }

  [[nodiscard]] bool streams() const override { return may_stream(stages_.back().chain); }

private:
  void step(const job_ptr& job, size_t index, value current) {
    if (index == stages_.size()) {
      values outputs;
      outputs.emplace("output", std::move(current));
      return job->answer(std::move(outputs));
    }
    values inputs;
    inputs.emplace(stages_[index].wiring.input_keys.front(), std::move(current));
    auto go_on = [this, job, index](values& answer) {
      if (auto error = keep_outputs(stages_[index].wiring, answer, stages_[index].name))
        return job->fail(std::move(error));
      step(job, index + 1, std::move(answer.begin()->second));
    };
    if (index + 1 == stages_.size())
      job->ask_last(stages_[index].chain, go_on, std::move(inputs));
    else
      job->ask<values>(stages_[index].chain, go_on, call_atom_v, std::move(inputs));
  }

  std::vector<simple_stage> stages_;
};

} // namespace

chain_actor spawn_simple_sequential_chain(
    caf::actor_system& system, std::vector<chain_actor> chains) {
  if (chains.empty())
    throw std::invalid_argument{"a simple sequential chain needs at least one chain"};
  std::vector<simple_stage> stages;
  for (auto& chain : chains) {
    auto name = "chain " + std::to_string(stages.size() + 1) + " of the sequence";
    auto wiring = describe(system, chain, name);
    if (wiring.input_keys.size() != 1)
      throw std::invalid_argument{name + " must have exactly one input, but it has " +
                                  std::to_string(wiring.input_keys.size())};
    only_output(wiring, name);
    stages.push_back({std::move(chain), std::move(wiring), std::move(name)});
  }
  return spawn_chain(system, {{"input"}, {"output"}},
      std::make_unique<simple_sequential_state>(std::move(stages)), "simple_sequential");
}

} // namespace chainmail
