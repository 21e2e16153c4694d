// A tool that answers when and how the test says, and keeps what it was asked and told to cancel.
#pragma once

#include <chainmail/agents/tools.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace chainmail::test {

struct fake_tool_script {
  struct call {
    std::string arguments;
    call_context context;
    deadline::clock::time_point at;
  };

  tool_description description;
  caf::expected<std::string> answer = std::string{"fine"};
  /// An infinite one is ended by a cancel only.
  caf::timespan delay{0};
  std::vector<call> calls;
  std::vector<call_id> cancelled;
};

struct fake_tool_state {
  using promise = caf::typed_response_promise<std::string>;

  fake_tool_state(tool_actor::pointer self_ptr, std::shared_ptr<fake_tool_script> chosen)
    : self(self_ptr), script(std::move(chosen)) {}

  tool_actor::behavior_type make_behavior() {
    return {
        [this](call_atom, const std::string& arguments,
            const call_context& context) -> caf::result<std::string> {
          script->calls.push_back({arguments, context, self->clock().now()});
          auto caller = self->make_response_promise<std::string>();
          if (script->delay.count() == 0) {
            caller.deliver(script->answer);
            return caller;
          }
          std::erase_if(held, [](const auto& x) { return !x.second.pending(); });
          held.emplace_back(context.id, caller);
          if (script->delay != caf::timespan{caf::infinite})
            compat::run_at(self, self->clock().now() + script->delay,
                [keep = tool_actor{self}, caller, answer = script->answer]() mutable {
                  if (caller.pending())
                    caller.deliver(std::move(answer));
                });
          return caller;
        },
        [this](describe_atom) { return script->description; },
        [this](cancel_atom, const call_id& id) {
          script->cancelled.push_back(id);
          for (auto& [held_id, caller] : held)
            if (caller.pending() && held_id == id)
              caller.deliver(make_failure(errc::cancelled, "the fake was told to"));
        },
    };
  }

  tool_actor::pointer self;
  std::shared_ptr<fake_tool_script> script;
  std::vector<std::pair<call_id, promise>> held;
};

class fake_tool : public caf::stateful_actor<fake_tool_state, tool_actor::impl>,
                  public described_tool {
public:
  fake_tool(caf::actor_config& config, std::shared_ptr<fake_tool_script> script)
    : caf::stateful_actor<fake_tool_state, tool_actor::impl>(config, script),
      description_(script->description) {}

  [[nodiscard]] const tool_description& description() const noexcept override {
    return description_;
  }

private:
  tool_description description_;
};

inline tool_actor spawn_fake_tool(
    caf::actor_system& system, std::shared_ptr<fake_tool_script> script) {
  return system.spawn<fake_tool>(std::move(script));
}

/// A script of a tool that takes one text, "query".
inline std::shared_ptr<fake_tool_script> fake_tool_called(const std::string& name) {
  auto result = std::make_shared<fake_tool_script>();
  result->description = {name, "Finds things.",
      R"({"type":"object","properties":{"query":{"type":"string"}},"required":["query"],)"
      R"("additionalProperties":false})"};
  return result;
}

} // namespace chainmail::test
