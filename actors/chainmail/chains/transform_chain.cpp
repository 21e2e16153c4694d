// Running the function, and holding what it gives against what was declared.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/transform_chain.hpp>
#include <chainmail/chains/wiring.hpp>

#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

class transform_state : public chain_state {
public:
  transform_state(std::vector<std::string> outputs, transform_function transform)
    : outputs_(std::move(outputs)), transform_(std::move(transform)) {}

  void run(const job_ptr& job) override {
    auto made = transform_(job->inputs);
    if (!made)
      return job->fail(to_failure(std::move(made.error()), "the transform"));
    std::vector<std::string> given;
    for (const auto& [key, unused] : *made)
      given.push_back(key);
    if (given != outputs_)
      return job->fail(
          make_failure(errc::internal, "the transform gives " + in_quotes(given) + " where " +
                                           in_quotes(outputs_) + " is declared"));
    job->answer(std::move(*made));
  }

private:
  std::vector<std::string> outputs_;
  transform_function transform_;
};

} // namespace

chain_actor spawn_transform_chain(caf::actor_system& system, std::vector<std::string> input_keys,
    std::vector<std::string> output_keys, transform_function transform) {
  if (!transform)
    throw std::invalid_argument{"a transform chain needs a function"};
  auto outputs = sorted_keys(std::move(output_keys));
  return spawn_chain(system, {std::move(input_keys), outputs},
      std::make_unique<transform_state>(outputs, std::move(transform)), "transform");
}

} // namespace chainmail
