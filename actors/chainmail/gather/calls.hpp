// The calls that people make, from a blocking scope and from inside an actor.
//
// With a caf::scoped_actor they wait and return the answer or the error; a call that is not answered
// in time is cancelled, and its error is errc::timed_out. With a pointer to an event-based actor they
// return CAF's response handle, for .then(...) or .await(...).
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/gather/gather.hpp>
#include <chainmail/messages.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/expected.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/timespan.hpp>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// A context with a new ID, due after `timeout` by the actor's clock. Keep its `id` to cancel the call:
/// send `cancel_atom_v, id` to the actor that the call went to.
template <class Self>
call_context make_context(Self* self, caf::timespan timeout = default_timeout) {
  call_context result;
  result.id = call_id::make();
  auto now = self->clock().now();
  auto room = deadline::clock::time_point::max() - now;
  result.due.at = timeout < room ? now + timeout : deadline::clock::time_point::max();
  return result;
}

// -- inside an event-based actor ----------------------------------------------------------

/// Runs a chain once. The handle yields `values`.
template <class Self>
auto call(Self* self, const chain_actor& chain, values inputs, call_context context) {
  return compat::request(self, chain, call_atom_v, std::move(inputs), std::move(context));
}

/// Asks an LLM once. The handle yields an `llm_result`.
template <class Self>
auto generate(Self* self, const llm_actor& llm, llm_request request, call_context context) {
  return compat::request(self, llm, generate_atom_v, std::move(request), std::move(context));
}

/// Asks an LLM once, with the text going to `sink` as it comes. The handle yields an `llm_result`.
template <class Self>
auto stream(
    Self* self, const llm_actor& llm, llm_request request, sink_actor sink, call_context context) {
  return compat::request(
      self, llm, stream_atom_v, std::move(request), std::move(sink), std::move(context));
}

/// Runs a chain once, with the text of its last LLM call going to `sink` as it comes. The handle yields
/// `values`.
template <class Self>
auto stream(
    Self* self, const chain_actor& chain, values inputs, sink_actor sink, call_context context) {
  return compat::request(
      self, chain, stream_atom_v, std::move(inputs), std::move(sink), std::move(context));
}

/// Takes the pieces of a stream, in order.
using text_callback = std::function<void(std::string_view text)>;

/// Spawns a sink that hands every piece to `on_text`, one at a time, and takes the next when it returns.
/// It runs on the scheduler's threads, and must not block them. Of streams that share the sink, and of
/// completions, it cannot tell which a piece is of: that takes an actor of your own.
sink_actor spawn_sink(caf::actor_system& system, text_callback on_text);

/// Runs a chain on many inputs at once, by way of `gatherer`: which is whom to send a cancel. The
/// handle yields a `std::vector<outcome>`, one per input and in their order. When `self` dies, what
/// is outstanding is cancelled.
template <class Self>
auto gather(Self* self, const gather_actor& gatherer, const chain_actor& chain,
    std::vector<values> inputs, gather_options options, call_context context) {
  return compat::request(self, gatherer, gather_atom_v, chain, std::move(inputs),
      std::move(options), std::move(context));
}

/// The same by way of an actor that is made for it.
template <class Self>
auto gather(Self* self, const chain_actor& chain, std::vector<values> inputs,
    gather_options options, call_context context) {
  return gather(self, spawn_one_gather(self->system()), chain, std::move(inputs),
      std::move(options), std::move(context));
}

// -- from a blocking scope ------------------------------------------------------------------

/// Runs a chain once and waits.
caf::expected<values> call(caf::scoped_actor& self, const chain_actor& chain, values inputs,
    caf::timespan timeout = default_timeout);

/// Runs a chain once and waits for its only output, as text. errc::invalid_input, before anything is
/// asked, for a chain that has not exactly one output, and errc::malformed_response for an output
/// that is a list or a chat.
caf::expected<std::string> run(caf::scoped_actor& self, const chain_actor& chain, values inputs,
    caf::timespan timeout = default_timeout);

/// The same with one text as the only input that the chain needs, whatever it calls that;
/// errc::invalid_input for a chain that needs none or several.
caf::expected<std::string> run(caf::scoped_actor& self, const chain_actor& chain, std::string input,
    caf::timespan timeout = default_timeout);

/// Asks an LLM once and waits.
caf::expected<llm_result> generate(caf::scoped_actor& self, const llm_actor& llm,
    llm_request request, caf::timespan timeout = default_timeout);

/// Completes one prompt and waits.
caf::expected<llm_result> generate(caf::scoped_actor& self, const llm_actor& llm,
    std::string prompt, caf::timespan timeout = default_timeout);

/// Asks an LLM once and waits. `on_text` gets the text as it comes, in this thread; while it runs, the
/// stream is slowed down to the socket. What it throws ends the stream, and is thrown on.
caf::expected<llm_result> stream(caf::scoped_actor& self, const llm_actor& llm, llm_request request,
    const text_callback& on_text, caf::timespan timeout = default_timeout);

/// The same for one prompt.
caf::expected<llm_result> stream(caf::scoped_actor& self, const llm_actor& llm, std::string prompt,
    const text_callback& on_text, caf::timespan timeout = default_timeout);

/// The same for a chain.
caf::expected<values> stream(caf::scoped_actor& self, const chain_actor& chain, values inputs,
    const text_callback& on_text, caf::timespan timeout = default_timeout);

struct use_call_for_one_input {};

/// Not there, so that the inputs of one call are not taken for a list of such: see call().
use_call_for_one_input gather(caf::scoped_actor& self, const chain_actor& chain, values inputs,
    gather_options options = {}, caf::timespan timeout = default_timeout) = delete;
use_call_for_one_input gather(caf::scoped_actor& self, const chain_actor& chain,
    std::initializer_list<values::value_type> inputs, gather_options options = {},
    caf::timespan timeout = default_timeout) = delete;

/// Runs a chain on many inputs at once and waits for all, or for the deadline: the outcomes of
/// calls that are not over by then are errc::timed_out. The error of the whole is one of the
/// options.
caf::expected<std::vector<outcome>> gather(caf::scoped_actor& self, const chain_actor& chain,
    std::vector<values> inputs, gather_options options = {},
    caf::timespan timeout = default_timeout);

inline caf::expected<std::vector<outcome>> gather(caf::scoped_actor& self, const chain_actor& chain,
    std::initializer_list<values> inputs, gather_options options = {},
    caf::timespan timeout = default_timeout) {
  return gather(self, chain, std::vector<values>{inputs}, std::move(options), timeout);
}

} // namespace chainmail
