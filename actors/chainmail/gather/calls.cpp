// The blocking calls.
#include <chainmail/caf/caller_runs.hpp>
#include <chainmail/gather/calls.hpp>

#include <caf/actor_system.hpp>
#include <caf/after.hpp>
#include <caf/blocking_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <exception>

namespace chainmail {

namespace {

/// Who honours deadlines answers by itself; the others get this much longer.
constexpr caf::timespan patience = std::chrono::milliseconds{200};

/// Sends a request that is due after `timeout`, and waits. CAF's own time-out of a request would wake
/// the thread of its clock for each.
template <class Result, class Handle, class Atom, class... Ts>
caf::expected<Result> ask(caf::scoped_actor& self, caf::timespan timeout, const char* who,
    const Handle& to, Atom atom, Ts&&... xs) {
  caf::expected<Result> result{caf::error{}};
  auto fail = [&](caf::error why) { result = to_failure(std::move(why), who); };
  if (!to) {
    fail(caf::make_error(caf::sec::invalid_argument));
    return result;
  }
  auto context = make_context(self.ptr(), timeout);
  auto limit = context.due.is_never() ? caf::timespan{caf::infinite} : timeout + patience;
  auto id = self->new_request_id(caf::message_priority::normal);
  caller_runs runs{self->system()};
  runs(self.ptr(), [&] {
    caf::actor_cast<caf::abstract_actor*>(to)->enqueue(
        compat::make_element(caf::actor_cast<caf::strong_actor_ptr>(self.ptr()), id, atom,
            std::forward<Ts>(xs)..., context),
        self->context());
  });
  caf::blocking_actor::accept_one_cond once;
  self->varargs_receive(
      once, id.response_id(), [&result](Result& x) { result = std::move(x); },
      [&](caf::error& error) { fail(std::move(error)); },
      caf::after(limit) >> [&] { fail(caf::make_error(caf::sec::request_timeout)); });
  if (!result && result.error() == errc::timed_out)
    compat::send(self.ptr(), to, cancel_atom_v, context.id);
  return result;
}

/// Sends the request by way of an actor: the answer is then ordinary mail, which a blocking actor can
/// wait for together with the pieces.
template <class Result, class Handle, class What>
void send_by_courier(
    caf::scoped_actor& self, const Handle& to, What what, const call_context& context) {
  auto back = caf::actor_cast<caf::actor>(self);
  self->system().spawn([=](caf::event_based_actor* courier) {
    auto answer = [courier, back, root = context.id.root](auto& x) {
      compat::send(courier, back, reply_atom_v, root, caf::make_message(std::move(x)));
    };
    compat::request(courier, to, stream_atom_v, what, caf::actor_cast<sink_actor>(back), context)
        .then([answer](Result& x) { answer(x); }, [answer](caf::error& x) { answer(x); });
  });
}

template <class Result>
caf::expected<Result> read_answer(const caf::message& answer, const char* who) {
  if (answer.match_elements<Result>())
    return answer.get_as<Result>(0);
  return to_failure(answer.get_as<caf::error>(0), who);
}

template <class Result, class Handle, class What>
caf::expected<Result> ask_for_stream(caf::scoped_actor& self, caf::timespan timeout,
    const char* who, const Handle& to, What what, const text_callback& on_text) {
  auto context = make_context(self.ptr(), timeout);
  send_by_courier<Result>(self, to, std::move(what), context);
  caf::expected<Result> result{make_failure(
      errc::timed_out, "the deadline of the call passed before " + std::string{who} + " answered")};
  std::exception_ptr thrown;
  auto is_over = false;
  auto last = context.due.plus(patience);
  auto now = self->clock().now();
  for (; !is_over && !thrown && now < last; now = self->clock().now()) {
    auto wait = std::min<caf::timespan>(last - now, std::chrono::hours{1});
    self->receive(
        [&](chunk_atom, const call_id& id, uint32_t, const std::string& text) {
          // Of an earlier call, perhaps, that was given up.
          if (id.root == context.id.root)
            try {
              on_text(text);
            } catch (...) {
              thrown = std::current_exception();
            }
        },
        [&](reply_atom, uint64_t root, const caf::message& answer) {
          if (root != context.id.root)
            return;
          is_over = true;
          result = read_answer<Result>(answer, who);
        },
        caf::after(wait) >> [] {});
  }
  if (!is_over)
    compat::send(self.ptr(), to, cancel_atom_v, context.id);
  if (thrown)
    std::rethrow_exception(thrown);
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

sink_actor spawn_sink(caf::actor_system& system, text_callback on_text) {
  return system.spawn([on_text = std::move(on_text)](
                          sink_actor::pointer) -> sink_actor::behavior_type {
    return {
        [on_text](chunk_atom, const call_id&, uint32_t, const std::string& text) { on_text(text); },
    };
  });
}

caf::expected<llm_result> stream(caf::scoped_actor& self, const llm_actor& llm, llm_request request,
    const text_callback& on_text, caf::timespan timeout) {
  return ask_for_stream<llm_result>(self, timeout, "the LLM", llm, std::move(request), on_text);
}

caf::expected<llm_result> stream(caf::scoped_actor& self, const llm_actor& llm, std::string prompt,
    const text_callback& on_text, caf::timespan timeout) {
  llm_request request;
  request.prompts.push_back(std::move(prompt));
  return stream(self, llm, std::move(request), on_text, timeout);
}

caf::expected<values> stream(caf::scoped_actor& self, const chain_actor& chain, values inputs,
    const text_callback& on_text, caf::timespan timeout) {
  return ask_for_stream<values>(self, timeout, "the chain", chain, std::move(inputs), on_text);
}

caf::expected<std::vector<outcome>> gather(caf::scoped_actor& self, const chain_actor& chain,
    std::vector<values> inputs, gather_options options, caf::timespan timeout) {
  return ask<std::vector<outcome>>(self, timeout, "the gather", spawn_one_gather(self->system()),
      gather_atom_v, chain, std::move(inputs), std::move(options));
}

} // namespace chainmail
