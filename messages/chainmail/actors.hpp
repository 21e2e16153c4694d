// Every actor interface of chainmail: read this file and you know what can be asked of whom.
//
// Each request is answered exactly once, by the result or by an error of chainmail::errc.
// `cancel` is fire and forget: the cancelled call itself is answered with errc::cancelled.
#pragma once

#include <chainmail/fwd.hpp>

#include <caf/fwd.hpp>
#include <caf/typed_actor.hpp>

namespace chainmail {

/// Takes a stream's text as it comes. The answer to a chunk is the credit for the next one: a
/// sender keeps a bounded number of chunks unanswered, so a slow sink slows the stream down to the
/// socket.
using sink_actor = caf::typed_actor<
    // The next piece of completion `index` of a call.
    caf::result<void>(chunk_atom, call_id, uint32_t index, std::string text)>;

/// A chain: named values in, named values out. Every chain has this type, local or remote, so any
/// chain fits wherever a chain is asked for.
using chain_actor = caf::typed_actor<
    // Runs the chain once. The answer holds the output keys only.
    caf::result<values>(call_atom, values inputs, call_context),
    // The same, with the text of the last LLM call going to the sink as it comes.
    caf::result<values>(stream_atom, values inputs, sink_actor, call_context),
    // Which inputs the chain needs and which outputs it gives.
    caf::result<chain_description>(describe_atom),
    // Gives up a call; a step of zero gives up every call of the root.
    caf::result<void>(cancel_atom, call_id)>;

/// A large language model behind some provider's interface.
using llm_actor = caf::typed_actor<
    // Completes the prompts, or answers the chat, of one request.
    caf::result<llm_result>(generate_atom, llm_request, call_context),
    // The same, with the text going to the sink as it comes; the answer still holds all of it.
    caf::result<llm_result>(stream_atom, llm_request, sink_actor, call_context),
    // Gives up a call, down to its socket.
    caf::result<void>(cancel_atom, call_id)>;

/// Performs HTTP exchanges: one worker, or a pool of them.
using http_actor = caf::typed_actor<
    // One request, one response. A response of any status is a result, not an error.
    caf::result<http_response>(fetch_atom, http_request, call_context),
    // The same, with the body going to the sink as it comes; the answer's body is then empty.
    caf::result<http_response>(stream_atom, http_request, sink_actor, call_context),
    // Aborts the transfer, or takes the call out of the queue.
    caf::result<void>(cancel_atom, call_id)>;

/// Hears about each call of a gather as soon as it is over.
using observer_actor = caf::typed_actor<
    // One call is over. Sent in order of completion, without waiting for the observer.
    caf::result<void>(finished_atom, gather_progress, outcome)>;

/// Fans a list of inputs out to one chain and collects the answers.
using gather_actor = caf::typed_actor<
    // One outcome per input, in the order of the inputs, each a result or an error of its own. At
    // the deadline, or when cancelled, the calls that are not over have errc::timed_out or
    // errc::cancelled as their outcome, and the others keep theirs.
    caf::result<std::vector<outcome>>(
        gather_atom, chain_actor, std::vector<values> inputs, gather_options, call_context),
    // Gives up a gather and what it has outstanding.
    caf::result<void>(cancel_atom, call_id)>;

} // namespace chainmail
