// Ask the model, call its tools, tell it what they answered, ask again.
#include <chainmail/agents/agent_core.hpp>
#include <chainmail/agents/tools.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/json/json_schema.hpp>
#include <chainmail/llm/token_estimate.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

namespace chainmail {

namespace {

constexpr size_t most_calls_a_round = 64;

struct agent_tool {
  tool_actor handle;
  json_schema arguments;
};

/// What of an agent's call is used up.
enum class limit { none, iterations, time, tokens, cost };

/// One call of an agent.
struct agent_call {
  job_ptr job;
  deadline::clock::time_point begin;
  /// When it has to be over.
  deadline due;
  bool is_due_by_max_time = false;
  /// The conversation so far.
  llm_request request;
  uint32_t rounds = 0;
  /// Some round had text.
  bool has_spoken = false;
  int64_t tokens = 0;
  double cost = 0;
  std::vector<agent_step> steps;
  /// The round under way; its steps are the last ones.
  agent_turn turn;
  std::set<size_t> open_steps;

  [[nodiscard]] caf::timespan elapsed() const { return job->now() - begin; }
  [[nodiscard]] size_t first_step() const { return steps.size() - turn.calls.size(); }
};

using agent_call_ptr = std::shared_ptr<agent_call>;

std::string in_seconds(caf::timespan time) {
  auto text = std::to_string(std::chrono::duration<double>(time).count());
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.'))
    text.pop_back();
  return text + " s";
}

int64_t estimate_usage(const llm_request& request, const llm_result& result) {
  size_t sum = 0;
  for (const auto& prompt : request.prompts)
    sum += estimate_tokens(prompt);
  for (const auto& message : request.messages)
    sum += estimate_tokens(message.content);
  for (const auto& each : result.completions) {
    sum += estimate_tokens(each.text);
    for (const auto& call : each.tool_calls)
      sum += estimate_tokens(call.arguments);
  }
  return static_cast<int64_t>(sum);
}

/// Passes a round's text on to the sink of the agent's call, under the ID of that. Rounds have IDs of
/// their own, or endpoints would take them for one request made again.
struct round_sink_state {
  round_sink_state(sink_actor::pointer self_ptr, sink_actor passes_on_to, const call_id& call,
      bool follows_another)
    : self(self_ptr), to(std::move(passes_on_to)), id(call), needs_gap(follows_another) {}

  sink_actor::behavior_type make_behavior() {
    return {[this](chunk_atom, const call_id&, uint32_t index, std::string& text) {
      if (std::exchange(needs_gap, false))
        text.insert(0, "\n\n");
      return compat::delegate(self, to, chunk_atom_v, id, index, std::move(text));
    }};
  }

  sink_actor::pointer self;
  sink_actor to;
  call_id id;
  bool needs_gap;
};

class agent_state : public chain_state {
public:
  agent_state(caf::actor_system& system, llm_actor llm, std::vector<tool_actor> handles,
      std::vector<tool_description> told, agent_options options,
      std::unique_ptr<agent_protocol> protocol)
    : system_(system),
      llm_(std::move(llm)),
      descriptions_(std::move(told)),
      options_(std::move(options)),
      protocol_(std::move(protocol)) {
    for (size_t i = 0; i < descriptions_.size(); ++i) {
      const auto& what = descriptions_[i];
      auto schema = json_schema::parse(what.parameters);
      if (!schema) // which check_tool has looked at
        throw std::invalid_argument{sentence_of(schema.error())};
      if (!tools_.emplace(what.name, agent_tool{std::move(handles[i]), std::move(*schema)}).second)
        throw std::invalid_argument{"the agent has two tools of the name '" + what.name + "'"};
      names_ += (names_.empty() ? "" : ", ") + what.name;
    }
  }

  void run(const job_ptr& job) override {
    auto call = std::make_shared<agent_call>();
    call->job = job;
    call->begin = job->now();
    set_due(*call);
    std::string input;
    if (!append_text(input, job->inputs.at("input")))
      return job->fail(make_failure(errc::invalid_input, "the input 'input' is not text"));
    std::vector<chat_message> history;
    if (auto found = job->inputs.find("chat_history"); found != job->inputs.end()) {
      auto messages = messages_of_history(found->second);
      if (!messages)
        return job->fail(std::move(messages.error()));
      history = std::move(*messages);
    }
    call->request = protocol_->begin(
        descriptions_, options_.system_prompt, std::move(history), std::move(input));
    call->request.parameters = options_.parameters;
    ask_model(call);
  }

  [[nodiscard]] bool streams() const override { return true; }

private:
  void set_due(agent_call& call) const {
    call.due = call.job->context().due;
    // What is asked is given up a little earlier, so that the caller still hears how far it came.
    constexpr auto margin = reply_table::grace;
    if (!call.due.is_never() && call.due.at > call.begin + 2 * margin)
      call.due.at -= margin;
    if (!options_.max_time)
      return;
    auto own = deadline{call.begin}.plus(*options_.max_time);
    call.is_due_by_max_time = own < call.due.at;
    call.due.at = std::min(call.due.at, own);
  }

  // -- the model ------------------------------------------------------------------------

  void ask_model(const agent_call_ptr& call) {
    if (auto hit = limit_hit(*call); hit != limit::none)
      return stop(*call, hit);
    if (call->due.has_passed(call->job->now()))
      return fail(*call, make_failure(errc::timed_out,
                             "the deadline of the call passed before the agent had an answer"));
    auto on_result = [this, call](llm_result& result) { on_reply(call, result); };
    auto on_error = [this, call](caf::error& why) {
      if (why == errc::timed_out && is_out_of_time(*call))
        stop(*call, limit::time);
      else
        fail(*call, why);
    };
    if (call->job->sink()) {
      sink_actor round = system_.spawn<caf::stateful_actor<round_sink_state, sink_actor::impl>>(
          call->job->sink(), call->job->context().id, call->has_spoken);
      call->job->try_ask_by<llm_result>(
          call->due, llm_, on_result, on_error, stream_atom_v, call->request, std::move(round));
    } else {
      call->job->try_ask_by<llm_result>(
          call->due, llm_, on_result, on_error, generate_atom_v, call->request);
    }
  }

  void on_reply(const agent_call_ptr& call, llm_result& result) {
    if (result.completions.empty())
      return fail(
          *call, make_failure(errc::malformed_response, "the LLM answered without a completion"));
    ++call->rounds;
    call->has_spoken |= !result.text().empty();
    use(*call, result);
    call->turn = protocol_->read(result.completions.front(), descriptions_);
    if (call->turn.answer)
      return finish(*call, std::move(*call->turn.answer));
    if (auto hit = limit_hit(*call); hit != limit::none && !call->turn.calls.empty())
      return stop(*call, hit); // rather than call tools whose answers nobody will read
    call_tools(call);
  }

  void use(agent_call& call, const llm_result& result) const {
    if (result.is_cached)
      return;
    const auto& usage = result.usage;
    auto total = std::max(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    call.tokens += total > 0 ? total : estimate_usage(call.request, result);
    auto completion = static_cast<double>(usage.completion_tokens);
    auto prompt = total > 0 ? static_cast<double>(total) - completion
                            : static_cast<double>(estimate_usage(call.request, result));
    call.cost += (prompt * options_.prices.prompt + completion * options_.prices.completion) / 1e6;
  }

  // -- tools ----------------------------------------------------------------------------

  void call_tools(const agent_call_ptr& call) {
    auto& calls = call->turn.calls;
    name_calls(calls, call->rounds);
    auto first = call->steps.size();
    for (const auto& each : calls) {
      call->open_steps.insert(call->steps.size());
      agent_step step;
      step.round = call->rounds - 1;
      step.thought = call->turn.thought;
      step.action = each;
      call->steps.push_back(std::move(step));
    }
    if (calls.empty())
      return end_round(call);
    for (size_t i = 0; i < calls.size() && !call->job->is_over(); ++i)
      call_tool(call, first + i);
  }

  /// Answers refer to calls by their IDs, which not every provider gives.
  static void name_calls(std::vector<tool_call>& calls, uint32_t round) {
    std::set<std::string> known;
    for (size_t i = 0; i < calls.size(); ++i) {
      auto& call = calls[i];
      if (trimmed(call.arguments).empty())
        call.arguments = "{}";
      if (call.id.empty() || known.contains(call.id))
        call.id = "call_" + std::to_string(round) + "_" + std::to_string(i + 1);
      known.insert(call.id);
    }
  }

  void call_tool(const agent_call_ptr& call, size_t index) {
    auto& step = call->steps[index];
    step.started = call->elapsed();
    tell(*call, started_atom_v, step.action);
    const auto& [id, name, arguments] = step.action;
    auto found = tools_.find(name);
    if (index - call->first_step() >= most_calls_a_round)
      return end_step(call, index,
          "Error: this call was left out, for there were more than " +
              std::to_string(most_calls_a_round) + " calls at once. Ask for fewer.",
          true);
    if (found == tools_.end())
      return end_step(call, index,
          "Error: there is no tool '" + one_line(name, 64) + "'. The tools are: " + names_ + ".",
          true);
    if (auto wrong = found->second.arguments.check(arguments))
      return end_step(call, index,
          "Error: the arguments of the tool '" + name + "' do not fit its schema: " +
              wrong->sentence + ". They were: " + one_line(arguments, 300) +
              ". Call it again with arguments that fit.",
          true);
    deadline due{call->job->now()};
    due.at = std::min(call->due.at, due.plus(options_.tool_timeout));
    call->job->try_ask_by<std::string>(
        due, found->second.handle,
        [this, call, index](
            std::string& answer) { end_step(call, index, std::move(answer), false); },
        [this, call, index, due](caf::error& why) {
          auto too_slow = why == errc::timed_out && due.has_passed(call->job->now());
          auto what = !too_slow ? "failed: " + sentence_of(why)
                      : due.at == call->due.at
                          ? "did not answer in time"
                          : "did not answer within " + in_seconds(options_.tool_timeout);
          end_step(call, index,
              "Error: the tool '" + call->steps[index].action.name + "' " + what +
                  ". Try other arguments or another tool, or answer without it.",
              true);
        },
        call_atom_v, arguments);
  }

  void end_step(const agent_call_ptr& call, size_t index, std::string observation, bool failed) {
    auto& step = call->steps[index];
    step.observation = bounded_observation(std::move(observation), options_.max_observation);
    step.failed = failed;
    step.took = call->elapsed() - step.started;
    tell(*call, finished_atom_v, step);
    call->open_steps.erase(index);
    if (call->open_steps.empty())
      end_round(call);
  }

  void end_round(const agent_call_ptr& call) {
    std::vector<std::string> observations;
    for (auto i = call->first_step(); i < call->steps.size(); ++i)
      observations.push_back(call->steps[i].observation);
    protocol_->append(call->request, call->turn, observations);
    ask_model(call);
  }

  template <class Atom, class What>
  void tell(const agent_call& call, Atom atom, const What& what) const {
    if (options_.observer)
      compat::anon_send(options_.observer, atom, call.job->context().id, what);
  }

  // -- the end --------------------------------------------------------------------------

  [[nodiscard]] bool is_out_of_time(const agent_call& call) const {
    return call.is_due_by_max_time && call.due.has_passed(call.job->now());
  }

  [[nodiscard]] limit limit_hit(const agent_call& call) const {
    if (is_out_of_time(call))
      return limit::time;
    if (call.rounds >= options_.max_rounds)
      return limit::iterations;
    if (options_.max_tokens && call.tokens >= *options_.max_tokens)
      return limit::tokens;
    return options_.max_cost && call.cost >= *options_.max_cost ? limit::cost : limit::none;
  }

  void stop(agent_call& call, limit hit) const {
    static constexpr std::pair<const char*, const char*> words[] = {{"nothing", ""},
        {"max iterations", "rounds (max_rounds)"}, {"max time", "(max_time)"},
        {"max tokens", "tokens (max_tokens)"}, {"max cost", "of cost (max_cost)"}};
    const auto& [name, unit] = words[static_cast<size_t>(hit)];
    if (options_.answers_at_limit)
      return finish(call, std::string{"Agent stopped due to "} + name + ".");
    std::string amount;
    if (hit == limit::iterations)
      amount = std::to_string(options_.max_rounds);
    else if (hit == limit::time)
      amount = in_seconds(*options_.max_time);
    else if (hit == limit::tokens)
      amount = std::to_string(*options_.max_tokens);
    else
      append_text(amount, *options_.max_cost);
    fail(call, make_failure(hit == limit::time ? errc::timed_out : errc::malformed_response,
                   "the agent's model gave no final answer within " + amount + " " + unit));
  }

  void fail(agent_call& call, const caf::error& why) const {
    for (auto index : call.open_steps) {
      auto& step = call.steps[index];
      step.failed = true;
      step.took = call.elapsed() - step.started;
    }
    call.job->fail(with_steps(why, call.steps));
  }

  void finish(agent_call& call, std::string answer) const {
    values outputs;
    outputs.emplace("output", std::move(answer));
    if (options_.return_intermediate_steps)
      outputs.emplace("intermediate_steps", documents_of(call.steps));
    call.job->answer(std::move(outputs));
  }

  caf::actor_system& system_;
  llm_actor llm_;
  std::vector<tool_description> descriptions_;
  std::map<std::string, agent_tool> tools_;
  std::string names_;
  agent_options options_;
  std::unique_ptr<agent_protocol> protocol_;
};

void check(const agent_options& options) {
  auto refuse = [](const char* sentence) { throw std::invalid_argument{sentence}; };
  if (options.max_rounds == 0)
    refuse("an agent's max_rounds must be at least 1");
  if (options.tool_timeout.count() <= 0 || (options.max_time && options.max_time->count() <= 0))
    refuse("an agent's tool_timeout and max_time must be longer than 0");
  if (options.max_observation < 200)
    refuse("an agent's max_observation must be at least 200 bytes: errors have to fit, too");
  if (options.max_cost && options.prices.prompt <= 0 && options.prices.completion <= 0)
    refuse("an agent's max_cost needs prices");
}

} // namespace

chain_actor spawn_agent(caf::actor_system& system, llm_actor llm, std::vector<tool_actor> tools,
    agent_options options, std::unique_ptr<agent_protocol> protocol, const std::string& kind) {
  if (!llm)
    throw std::invalid_argument{"an agent needs a valid LLM actor"};
  if (tools.empty())
    throw std::invalid_argument{"an agent needs at least one tool"};
  check(options);
  std::vector<tool_description> descriptions;
  descriptions.reserve(tools.size());
  for (const auto& tool : tools)
    descriptions.push_back(describe(
        system, tool, "tool " + std::to_string(descriptions.size() + 1) + " of the agent"));
  std::vector<std::string> outputs{"output"};
  if (options.return_intermediate_steps)
    outputs.emplace_back("intermediate_steps");
  return spawn_chain(system, {{"input"}, std::move(outputs)},
      std::make_unique<agent_state>(system, std::move(llm), std::move(tools),
          std::move(descriptions), std::move(options), std::move(protocol)),
      kind);
}

} // namespace chainmail
