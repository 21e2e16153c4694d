// The blocking calls.
#include <chainmail/gather/calls.hpp>

#include <caf/actor_system.hpp>

namespace chainmail {

namespace {

/// Who honours deadlines answers by itself; the others get this much longer.
constexpr caf::timespan patience = std::chrono::milliseconds{200};

/// Sends a request that is due after `timeout`, and waits.
template <class Result, class Handle, class Atom, class... Ts>
caf::expected<Result> ask(caf::scoped_actor& self, caf::timespan timeout, const char* who,
    const Handle& to, Atom atom, Ts&&... xs) {
  auto context = make_context(self.ptr(), timeout);
  auto limit = context.due.is_never() ? caf::timespan{caf::infinite} : timeout + patience;
  caf::expected<Result> result{caf::error{}};
  compat::request_within(limit, self.ptr(), to, atom, std::forward<Ts>(xs)..., context)
      .receive([&result](Result& x) { result = std::move(x); },
          [&](caf::error& error) { result = to_failure(std::move(error), who); });
  if (!result && result.error() == errc::timed_out)
    compat::send(self.ptr(), to, cancel_atom_v, context.id);
  return result;
}

caf::expected<chain_description> ask_wiring(
    caf::scoped_actor& self, caf::timespan timeout, const chain_actor& chain) {
  caf::expected<chain_description> result{caf::error{}};
  compat::request_within(timeout, self.ptr(), chain, describe_atom_v)
      .receive([&result](chain_description& x) { result = std::move(x); },
          [&result](caf::error& error) { result = to_failure(std::move(error), "the chain"); });
  if (result && result->output_keys.size() != 1)
    result = make_failure(errc::invalid_input, "the chain has " +
                                                   std::to_string(result->output_keys.size()) +
                                                   " outputs, not one: use call, which gives all");
  return result;
}

caf::expected<std::string> run_wired(caf::scoped_actor& self, const chain_actor& chain,
    const chain_description& wiring, values inputs, caf::timespan timeout) {
  const auto& key = wiring.output_keys.front();
  auto outputs = call(self, chain, std::move(inputs), timeout);
  if (!outputs)
    return std::move(outputs.error());
  std::string text;
  if (auto found = outputs->find(key); found != outputs->end() && append_text(text, found->second))
    return text;
  return make_failure(
      errc::malformed_response, "the chain's output '" + key + "' is missing or is no text");
}

} // namespace

caf::expected<values> call(
    caf::scoped_actor& self, const chain_actor& chain, values inputs, caf::timespan timeout) {
  return ask<values>(self, timeout, "the chain", chain, call_atom_v, std::move(inputs));
}

caf::expected<std::string> run(
    caf::scoped_actor& self, const chain_actor& chain, values inputs, caf::timespan timeout) {
  auto wiring = ask_wiring(self, timeout, chain);
  if (!wiring)
    return std::move(wiring.error());
  return run_wired(self, chain, *wiring, std::move(inputs), timeout);
}

caf::expected<std::string> run(
    caf::scoped_actor& self, const chain_actor& chain, std::string input, caf::timespan timeout) {
  auto wiring = ask_wiring(self, timeout, chain);
  if (!wiring)
    return std::move(wiring.error());
  if (wiring->input_keys.size() != 1)
    return make_failure(errc::invalid_input, "the chain needs " +
                                                 std::to_string(wiring->input_keys.size()) +
                                                 " inputs, not one: pass them by name");
  return run_wired(self, chain, *wiring, {{wiring->input_keys.front(), std::move(input)}}, timeout);
}

caf::expected<llm_result> generate(
    caf::scoped_actor& self, const llm_actor& llm, llm_request request, caf::timespan timeout) {
  return ask<llm_result>(self, timeout, "the LLM", llm, generate_atom_v, std::move(request));
}

caf::expected<llm_result> generate(
    caf::scoped_actor& self, const llm_actor& llm, std::string prompt, caf::timespan timeout) {
  llm_request request;
  request.prompts.push_back(std::move(prompt));
  return generate(self, llm, std::move(request), timeout);
}

caf::expected<std::vector<outcome>> gather(caf::scoped_actor& self, const chain_actor& chain,
    std::vector<values> inputs, gather_options options, caf::timespan timeout) {
  return ask<std::vector<outcome>>(self, timeout, "the gather", spawn_one_gather(self->system()),
      gather_atom_v, chain, std::move(inputs), std::move(options));
}

} // namespace chainmail
