// A chain of your own, as a typed actor, between two that come with chainmail.
//
//   OPENAI_API_KEY=... 04_your_own_chain
#include <chainmail/chainmail.hpp>

#include <algorithm>
#include <cctype>
#include <iostream>

using namespace chainmail;

namespace {

/// Makes a domain out of a company's name. (For a plain function like this, spawn_transform_chain
/// would do; an actor of your own can keep state, ask other actors, or live on another node.)
struct domain_chain_state {
  explicit domain_chain_state(chain_actor::pointer) {}

  chain_actor::behavior_type make_behavior() {
    return {
        [](call_atom, const values& inputs, const call_context&) -> caf::result<values> {
          auto name = get_text(inputs, "name");
          if (!name)
            return std::move(name.error());
          std::string domain;
          for (auto c : *name)
            if (std::isalnum(static_cast<unsigned char>(c)) != 0)
              domain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
          return values{{"domain", domain + ".example"}};
        },
        [](stream_atom, const values&, const sink_actor&,
            const call_context&) -> caf::result<values> {
          return make_failure(errc::unsupported, "domains come in one piece");
        },
        [](describe_atom) {
          return chain_description{{"name"}, {"domain"}};
        },
        [](cancel_atom, const call_id&) {}, // it answers at once: there is nothing to give up
    };
  }
};

} // namespace

int main() {
  init_types();
  caf::actor_system_config config;
  tune_scheduler(config);
  caf::actor_system system{config};
  auto llm = spawn_llm(system, spawn_http(system));
  auto namer = spawn_llm_chain(system, llm,
      "What is a good name for a company that makes {product}?", {.output_key = "name"});
  auto domain = system.spawn<caf::stateful_actor<domain_chain_state, chain_actor::impl>>();

  // Whether each gets what it needs is checked here, not at the first call.
  auto both = spawn_sequential_chain(system, {namer, domain}, {.output_keys = {"name", "domain"}});
  caf::scoped_actor self{system};
  auto answer = call(self, both, {{"product", "socks"}});
  if (!answer) {
    std::cerr << describe(answer.error()) << '\n';
    return 1;
  }
  std::cout << *find_text(*answer, "name") << " at " << *find_text(*answer, "domain") << '\n';
}
