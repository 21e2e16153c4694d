// An LLM provider of your own as an actor, with chainmail's policies around it.
//
//   08_your_own_provider
#include <chainmail/chainmail.hpp>

#include <iostream>

using namespace chainmail;
using namespace std::chrono_literals;

namespace {

/// Stands for a model in this process. It is overloaded at first, as models are.
struct parrot_state {
  explicit parrot_state(llm_actor::pointer self_ptr) : self(self_ptr) {}

  llm_actor::behavior_type make_behavior() {
    return {
        [this](generate_atom, const llm_request& request,
            const call_context&) -> caf::result<llm_result> {
          if (++calls < 3) // server_error is tried again, invalid_input would not be
            return make_failure(errc::server_error, "the parrot sleeps");
          if (request.prompts.size() != 1)
            return make_failure(errc::invalid_input, "the parrot takes one prompt a call");
          llm_result result;
          result.completions = {{"Polly says: " + request.prompts.front(), "stop"}};
          result.model = "parrot";
          return result;
        },
        [](stream_atom, const llm_request&, const sink_actor&,
            const call_context&) -> caf::result<llm_result> {
          return make_failure(errc::unsupported, "the parrot does not stream");
        },
        [](cancel_atom, const call_id&) {}, // it answers at once: there is nothing to give up
    };
  }

  llm_actor::pointer self;
  int calls = 0;
};

} // namespace

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto parrot = system.spawn<caf::stateful_actor<parrot_state, llm_actor::impl>>();

  guard_options policies;
  policies.retry.max_attempts = 4;
  policies.retry.first_delay = 50ms;
  policies.cache = cache_options{}; // of answers at temperature 0
  auto llm = spawn_guarded(
      system, {{.llm = parrot, .name = "parrot", .defaults = {.temperature = 0}}}, policies);

  caf::scoped_actor self{system};
  for (auto round = 0; round < 2; ++round) {
    auto answer = generate(self, llm, "hello");
    if (!answer) {
      std::cerr << describe(answer.error()) << '\n';
      return 1;
    }
    std::cout << answer->text() << " (attempts: " << answer->attempts.size()
              << (answer->is_cached ? ", from the cache" : "") << ")\n";
  }
}
