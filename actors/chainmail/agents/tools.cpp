// The actors around functions, chains and retrievers.
#include <chainmail/agents/tool_arguments.hpp>
#include <chainmail/agents/tools.hpp>
#include <chainmail/caf/log.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/chains/ask_description.hpp>
#include <chainmail/chains/expression.hpp>
#include <chainmail/chains/wiring.hpp>
#include <chainmail/json/json_schema.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

namespace {

using description_ptr = std::shared_ptr<const tool_description>;

/// An actor that is described. `Base` takes what comes after the description.
template <class Base>
class described_tool_actor : public logging_actor<Base>, public described_tool {
public:
  template <class... Ts>
  described_tool_actor(caf::actor_config& config, description_ptr description, Ts&&... xs)
    : logging_actor<Base>(config, description, std::forward<Ts>(xs)...),
      description_(std::move(description)) {}

  [[nodiscard]] const tool_description& description() const noexcept override {
    return *description_;
  }

private:
  description_ptr description_;
};

description_ptr checked(tool_description description) {
  if (auto error = check_tool(description))
    throw std::invalid_argument{sentence_of(error)};
  return std::make_shared<const tool_description>(std::move(description));
}

bool has_own_schema(const tool_description& description) {
  return description.parameters != tool_description{}.parameters;
}

// -- functions ----------------------------------------------------------------------------

struct function_tool_state {
  static constexpr const char* name = "chainmail.tool";

  function_tool_state(
      tool_actor::pointer self_ptr, description_ptr told, tool_function what_it_does)
    : self(self_ptr), description(std::move(told)), function(std::move(what_it_does)) {}

  tool_actor::behavior_type make_behavior() {
    return {
        [this](call_atom, const std::string& arguments, const call_context& context) {
          return call(arguments, context);
        },
        [this](describe_atom) { return *description; },
        [](cancel_atom, const call_id&) {}, // a call that was started is over by now
    };
  }

  caf::result<std::string> call(const std::string& arguments, const call_context& context) {
    auto begin = self->clock().now();
    auto answer = context.due.has_passed(begin)
                      ? caf::expected<std::string>{make_failure(
                            errc::timed_out, "the deadline passed before the tool was started")}
                      : run(arguments);
    if (answer)
      return std::move(*answer);
    auto why = to_failure(std::move(answer.error()), description->name.c_str());
    log_failure(self->system(), description->name, context.id, self->clock().now() - begin, why);
    return why;
  }

  caf::expected<std::string> run(const std::string& arguments) {
    try {
      return function(arguments);
    } catch (const std::exception& error) {
      return make_failure(errc::internal, error.what());
    } catch (...) {
      return make_failure(errc::internal, "it threw an exception of an unknown type");
    }
  }

  tool_actor::pointer self;
  description_ptr description;
  tool_function function;
};

using function_tool =
    described_tool_actor<caf::stateful_actor<function_tool_state, tool_actor::impl>>;

template <caf::spawn_options Options>
tool_actor spawn_function_tool(
    caf::actor_system& system, tool_description description, tool_function function) {
  if (!function)
    throw std::invalid_argument{"a tool needs a function"};
  return system.spawn<function_tool, Options>(checked(std::move(description)), std::move(function));
}

// -- what is asked of other actors --------------------------------------------------------

/// A tool whose work another actor does, under the tool's call ID. Request makes the tool's request
/// from arguments and context, and its answer into text.
template <class Request>
struct asking_tool_state {
  static constexpr const char* name = "chainmail.tool";

  using actor_type = hub_actor<tool_actor, asking_tool_state>;

  asking_tool_state(actor_type* self_ptr, description_ptr told, Request how)
    : self(self_ptr), description(std::move(told)), request(std::move(how)) {}

  typename hub<tool_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](call_atom, const std::string& arguments, const call_context& context) {
          return call(arguments, context);
        },
        [this](describe_atom) { return *description; },
        [this](
            cancel_atom, const call_id& id) { compat::send(self, request.to, cancel_atom_v, id); },
    };
  }

  caf::result<std::string> call(const std::string& arguments, const call_context& context) {
    auto begin = self->clock().now();
    auto question = request.read(arguments);
    if (!question)
      return refuse(context, std::move(question.error()));
    if (context.due.has_passed(begin))
      return refuse(context,
          make_failure(errc::timed_out, "the deadline passed before the tool was started"));
    if (replies.is_full())
      return refuse(
          context, make_failure(errc::overloaded, "the tool has too many calls under way"));
    auto caller = self->template make_response_promise<std::string>();
    replies.template ask<typename Request::answer_type>(
        request.to, context.due,
        [this, caller](typename Request::answer_type& answer) mutable {
          caller.deliver(request.show(answer));
        },
        [this, caller, begin, id = context.id](caf::error& why) mutable {
          if (!is_logged(caf::actor_cast<caf::strong_actor_ptr>(request.to), why))
            log_failure(self->system(), description->name, id, self->clock().now() - begin, why);
          caller.deliver(std::move(why));
        },
        typename Request::atom_type{}, std::move(*question), context);
    return caller;
  }

  caf::error refuse(const call_context& context, caf::error why) {
    log_failure(self->system(), description->name, context.id, {}, why);
    return why;
  }

  actor_type* self;
  description_ptr description;
  Request request;
  reply_table replies{self, "what the tool asks"};
};

template <class Request>
tool_actor spawn_asking_tool(
    caf::actor_system& system, tool_description description, Request request) {
  using actor_type = typename asking_tool_state<Request>::actor_type;
  return system.spawn<described_tool_actor<actor_type>>(
      checked(std::move(description)), std::move(request));
}

struct chain_request {
  using atom_type = call_atom;
  using answer_type = values;

  chain_actor to;

  [[nodiscard]] caf::expected<values> read(const std::string& arguments) const {
    return values_from_json(arguments);
  }

  [[nodiscard]] std::string show(const values& outputs) const { return show_outputs(outputs); }
};

struct retriever_request {
  using atom_type = retrieve_atom;
  using answer_type = std::vector<scored_document>;

  retriever_actor to;
  uint32_t k;

  [[nodiscard]] caf::expected<retrieval_query> read(const std::string& arguments) const {
    auto text = text_from_json(arguments, "query");
    if (!text)
      return std::move(text.error());
    retrieval_query result;
    result.text = std::move(*text);
    result.k = k;
    return result;
  }

  [[nodiscard]] std::string show(std::vector<scored_document>& found) const {
    std::vector<document> documents;
    documents.reserve(found.size());
    for (auto& each : found)
      documents.push_back(std::move(each.found));
    return documents.empty() ? "Nothing was found." : show_documents(documents);
  }
};

} // namespace

tool_actor spawn_tool(
    caf::actor_system& system, tool_description description, tool_function function) {
  return spawn_function_tool<caf::no_spawn_options>(
      system, std::move(description), std::move(function));
}

tool_actor spawn_blocking_tool(
    caf::actor_system& system, tool_description description, tool_function function) {
  return spawn_function_tool<caf::detached>(system, std::move(description), std::move(function));
}

tool_actor spawn_chain_tool(
    caf::actor_system& system, chain_actor chain, tool_description description) {
  auto wiring = describe(system, chain, "the tool '" + one_line(description.name, 64) + "'");
  if (!has_own_schema(description))
    description.parameters = schema_of_inputs(wiring);
  return spawn_asking_tool(system, std::move(description), chain_request{std::move(chain)});
}

tool_actor spawn_retriever_tool(caf::actor_system& system, retriever_actor retriever,
    tool_description description, uint32_t k) {
  if (!retriever)
    throw std::invalid_argument{"a retriever tool needs a valid retriever actor"};
  if (!has_own_schema(description))
    description.parameters = schema_of_inputs({{"query"}, {}});
  return spawn_asking_tool(
      system, std::move(description), retriever_request{std::move(retriever), k});
}

tool_actor spawn_calculator_tool(caf::actor_system& system) {
  tool_description description;
  description.name = "calculator";
  description.description = "Evaluates one arithmetic expression, such as (12.5 + 3) * sqrt(16) or "
                            "2 ** 10. Use it for every calculation.";
  description.parameters = schema_of_inputs({{"expression"}, {}});
  return spawn_tool(system, std::move(description),
      [](const std::string& arguments) -> caf::expected<std::string> {
        auto text = text_from_json(arguments, "expression");
        if (!text)
          return std::move(text.error());
        auto number = evaluate_expression(*text);
        if (!number)
          return std::move(number.error());
        return show_number(*number);
      });
}

caf::error check_tool(const tool_description& description) {
  auto who = "the tool '" + one_line(description.name, 64) + "' ";
  if (presentable_tool_name(description.name) != description.name)
    return make_failure(errc::invalid_input,
        who + "needs another name: 1 to 64 letters, digits, '_' and '-' are what providers take");
  if (!is_utf8(description.description))
    return make_failure(errc::invalid_input, who + "has a description that is not UTF-8");
  auto schema = json_schema::parse(description.parameters);
  if (!schema)
    return make_failure(errc::invalid_input,
        who + "has parameters that cannot be checked: " + sentence_of(schema.error()));
  if (!schema->check("0"))
    return make_failure(errc::invalid_input,
        who + R"(has parameters that need not be an object: their schema needs "type":"object")");
  return {};
}

tool_description describe(
    caf::actor_system& system, const tool_actor& tool, const std::string& slot) {
  if (!tool)
    throw std::invalid_argument{slot + " needs a valid tool handle"};
  auto* actor = caf::actor_cast<caf::abstract_actor*>(tool);
  if (auto* local = dynamic_cast<const described_tool*>(actor))
    return local->description();
  auto found =
      ask_description<tool_description>(system, tool, slot, "the tool", "name and parameters");
  if (auto error = check_tool(found))
    throw std::invalid_argument{slot + " cannot be used: " + sentence_of(error)};
  return found;
}

} // namespace chainmail
