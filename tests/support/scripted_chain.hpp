// A chain whose state is a function of the test's.
#pragma once

#include <chainmail/chains/chain_job.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace chainmail::test {

class scripted_state : public chain_state {
public:
  using script = std::function<void(const job_ptr&)>;

  explicit scripted_state(script what) : script_(std::move(what)) {}

  void run(const job_ptr& job) override { script_(job); }

private:
  script script_;
};

inline chain_actor spawn_scripted_chain(caf::actor_system& system,
    std::vector<std::string> input_keys, std::vector<std::string> output_keys,
    scripted_state::script script) {
  return spawn_chain(system, {std::move(input_keys), std::move(output_keys)},
      std::make_unique<scripted_state>(std::move(script)));
}

/// A chain that never looks at its inputs and always answers this.
inline chain_actor spawn_constant_chain(
    caf::actor_system& system, std::vector<std::string> input_keys, values outputs) {
  std::vector<std::string> output_keys;
  for (const auto& [key, unused] : outputs)
    output_keys.push_back(key);
  return spawn_scripted_chain(system, std::move(input_keys), std::move(output_keys),
      [outputs = std::move(outputs)](const job_ptr& job) { job->answer(outputs); });
}

} // namespace chainmail::test
