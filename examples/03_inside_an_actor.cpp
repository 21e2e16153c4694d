// A chain inside an event-based actor: nothing waits, the answer comes as a message.
//
//   OPENAI_API_KEY=... 03_inside_an_actor
#include <chainmail/chainmail.hpp>

#include <iostream>

using namespace chainmail;
using namespace std::chrono_literals;

namespace {

struct greeter_state {
  greeter_state(caf::event_based_actor* self_ptr, chain_actor chain)
    : self(self_ptr), namer(std::move(chain)) {}

  caf::behavior make_behavior() {
    return {[this](const std::string& product) {
      // Due in 30 s. Its ID would cancel it: anon_send(namer, cancel_atom_v, context.id).
      auto context = make_context(self, 30s);
      call(self, namer, {{"product", product}}, context)
          .then(
              [this, product](const values& answer) {
                std::cout << product << ": " << *find_text(answer, "text") << '\n';
                leave_after_three();
              },
              [this, product](const caf::error& error) {
                std::cout << product << ": " << describe(error) << '\n';
                leave_after_three();
              });
    }};
  }

  void leave_after_three() {
    if (++answered == 3)
      self->quit();
  }

  caf::event_based_actor* self;
  chain_actor namer;
  int answered = 0;
};

} // namespace

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto llm = spawn_llm(system, spawn_http(system));
  auto namer =
      spawn_llm_chain(system, llm, "What is a good name for a company that makes {product}?");
  auto greeter = system.spawn<caf::stateful_actor<greeter_state>>(namer);
  for (const auto* product : {"socks", "toothpaste", "umbrellas"})
    compat::anon_send(greeter, std::string{product});
  // The system waits for its actors: the greeter leaves when it has its answers.
}
