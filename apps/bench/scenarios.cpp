// The scenarios.
#include "scenarios.hpp"

#include "stack.hpp"

#include <algorithm>
#include <chrono>

namespace chainmail::bench {

namespace {

/// The median time of one call by itself, of five.
template <class Call>
caf::expected<double> seconds_of(Call call) {
  std::vector<double> seconds;
  for (auto i = 0; i < 5; ++i) {
    stopwatch watch;
    if (auto done = call(); !done)
      return std::move(done.error());
    seconds.push_back(watch.wall_s());
  }
  std::ranges::sort(seconds);
  return seconds[seconds.size() / 2];
}

caf::expected<double> seconds_of_a_completion(stack& with) {
  return seconds_of([&] { return generate(with.self, with.llm, "Say something short."); });
}

/// Runs the calls of a chain at once and measures them.
caf::expected<figures> measure(
    stack& with, const chain_actor& chain, std::vector<values> inputs, double ideal_s) {
  auto count = inputs.size();
  stopwatch watch;
  auto outcomes = with.run(chain, std::move(inputs), count);
  if (!outcomes)
    return std::move(outcomes.error());
  auto result = summarize(*outcomes, watch);
  result.ideal_s = ideal_s;
  return result;
}

std::vector<document> some_documents(size_t count) {
  std::vector<document> result;
  for (size_t i = 1; i <= count; ++i) {
    auto number = std::to_string(i);
    auto text = "Report " + number + ": warehouse ";
    text += number + " holds " + std::to_string(i * 37) + " crates of toothpaste for spring.";
    result.push_back({std::move(text), {{"source", "report-" + number + ".txt"}}});
  }
  return result;
}

} // namespace

caf::expected<figures> fanout(caf::actor_system& system, const load& how_much) {
  stack with{system, how_much, how_much.in_flight};
  auto names = spawn_llm_chain(system, with.llm, name_prompt);
  auto inputs_for = [](size_t calls) { return std::vector<values>(calls, name_inputs()); };
  if (how_much.warm_up > 0)
    if (auto warm = with.run(names, inputs_for(how_much.warm_up), how_much.in_flight); !warm)
      return std::move(warm.error());
  auto inputs = inputs_for(how_much.calls);
  stopwatch watch;
  auto outcomes = with.run(names, std::move(inputs), how_much.in_flight);
  if (!outcomes)
    return std::move(outcomes.error());
  return summarize(*outcomes, watch);
}

caf::expected<figures> map_reduce(caf::actor_system& system, const load& how_much) {
  stack with{system, how_much, capacity_of({})};
  auto one = seconds_of_a_completion(with);
  if (!one)
    return std::move(one.error());
  qa_options options;
  options.token_max = 1'000'000; // one combining call, whatever the endpoint answers
  auto chain = spawn_qa_chain(system, with.llm, qa_type::map_reduce, options);
  std::vector<values> inputs(
      how_much.chains, {{"question", "How many crates does warehouse 7 hold?"},
                           {"input_documents", some_documents(how_much.documents)}});
  return measure(with, chain, std::move(inputs), 2 * *one);
}

caf::expected<figures> chat_vector_db(caf::actor_system& system, const load& how_much) {
  stack with{system, how_much, capacity_of({})};
  auto embedder = spawn_openai_embedder(system, with.http, how_much.llm.endpoint);
  auto index = spawn_vector_index(system);
  auto added = add_documents(
      with.self, embedder, index, some_documents(how_much.documents), default_timeout);
  if (!added)
    return std::move(added.error());
  auto one = seconds_of_a_completion(with);
  if (!one)
    return std::move(one.error());
  auto chain =
      spawn_chat_vector_db_chain(system, with.llm, spawn_retriever(system, embedder, index));
  std::vector<chat_message> history = {
      {"user", "Which warehouses hold toothpaste?"}, {"assistant", "All of them do."}};
  std::vector<values> inputs(how_much.chains,
      {{"question", "How many crates does number 7 hold?"}, {"chat_history", history}});
  return measure(with, chain, std::move(inputs), 3 * *one);
}

} // namespace chainmail::bench
