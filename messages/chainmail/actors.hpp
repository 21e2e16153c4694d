// Every actor interface of chainmail: read this file and you know what can be asked of whom.
//
// Each request is answered exactly once, by the result or by an error of chainmail::errc.
// `cancel` is fire and forget: the cancelled call itself is answered with errc::cancelled.
#pragma once

#include <chainmail/fwd.hpp>

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>
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
    // The same, with the body of a 2xx response going to the sink as it comes, in chunks of index 0;
    // the answer's body is then empty. That of another response is in the answer.
    caf::result<http_response>(stream_atom, http_request, sink_actor, call_context),
    // Aborts the transfer, or takes the call out of the queue.
    caf::result<void>(cancel_atom, call_id), caf::result<http_status>(status_atom)>;

/// Says when requests may be sent, so that an endpoint's limits hold. One serves any number of
/// clients.
using rate_limiter_actor = caf::typed_actor<
    // Answers once the request may be sent: or at once, with errc::rate_limited when that cannot be
    // before the deadline, with errc::overloaded when too many wait.
    caf::result<permit>(acquire_atom, demand, call_context),
    // What became of the permit of that ID. Unknown IDs are left alone.
    caf::result<void>(settle_atom, uint64_t id, permit_report),
    // The same for several permits at once.
    caf::result<lease>(lease_atom, lease_demand, call_context),
    caf::result<void>(settle_atom, lease_report),
    // To a holder of leases, from the limiter that gave them: its share is another one from now on.
    // Answered once that is heeded.
    caf::result<void>(share_atom, limiter_share),
    // Gives up waiting.
    caf::result<void>(cancel_atom, call_id), caf::result<limiter_status>(status_atom)>;

/// Something that a model can have done: a search, a calculation, a question to a database.
using tool_actor = caf::typed_actor<
    // Does it. The arguments are a JSON object that fits the description's schema; the answer, or
    // the sentence of the error, is told to the model.
    caf::result<std::string>(call_atom, std::string arguments, call_context),
    // What the model is told of it.
    caf::result<tool_description>(describe_atom),
    // Gives up a call.
    caf::result<void>(cancel_atom, call_id)>;

/// Hears what an agent does, in order, without the agent waiting for it. The ID is that of the
/// agent's call.
using agent_observer_actor = caf::typed_actor<
    // A tool is called.
    caf::result<void>(started_atom, call_id, tool_call),
    // Its call is over.
    caf::result<void>(finished_atom, call_id, agent_step)>;

/// Keeps answers of LLMs beyond the life of a process.
using cache_actor = caf::typed_actor<
    // The answer kept under a key; errc::not_found when there is none, or it is too old.
    caf::result<llm_result>(load_atom, std::string key),
    // Keeps an answer for so long.
    caf::result<void>(save_atom, std::string key, llm_result, caf::timespan time_to_live)>;

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

/// Turns texts into vectors whose nearness is nearness of meaning.
using embedder_actor = caf::typed_actor<
    // One vector per text, in their order, all of one dimension.
    caf::result<embeddings>(embed_atom, embed_request, call_context),
    // Gives up a call, down to its sockets.
    caf::result<void>(cancel_atom, call_id)>;

/// Holds documents and their vectors, and finds the nearest ones.
using vector_index_actor = caf::typed_actor<
    // Adds documents, each with its row of the vectors. The answer is their IDs, in their order; an
    // ID is never used twice. All of them are added, or none.
    caf::result<document_ids>(add_atom, std::vector<document>, embeddings, call_context),
    // Removes documents by ID. The answer is how many there were; unknown IDs are left alone.
    caf::result<uint64_t>(erase_atom, document_ids, call_context),
    // Removes the documents that match. The answer is how many there were.
    caf::result<uint64_t>(erase_atom, metadata_filter, call_context),
    // The documents nearest to the one row of `query`, best first.
    caf::result<std::vector<scored_document>>(
        search_atom, embeddings query, search_options, call_context),
    // The distinct values that the documents have under a metadata key, sorted.
    caf::result<metadata_texts>(list_atom, std::string metadata_key, call_context),
    // Makes what was added and removed survive this process.
    caf::result<void>(save_atom, call_context), caf::result<index_status>(status_atom)>;

/// Finds the documents that a text asks for.
using retriever_actor = caf::typed_actor<
    // Best first, at most query.k of them.
    caf::result<std::vector<scored_document>>(retrieve_atom, retrieval_query, call_context),
    caf::result<void>(cancel_atom, call_id)>;

/// Remembers conversations, each under its own key. A conversation that nobody saved is empty.
using memory_actor = caf::typed_actor<
    // What a chain should know of a conversation.
    caf::result<conversation>(load_atom, std::string key, call_context),
    // Adds one turn.
    caf::result<void>(save_atom, std::string key, conversation_turn, call_context),
    // Forgets a conversation.
    caf::result<void>(erase_atom, std::string key),
    // Gives up a call.
    caf::result<void>(cancel_atom, call_id)>;

/// A node of a cluster, as other nodes see it.
using node_actor = caf::typed_actor<
    // The first message of a node that connected: who it is. The answer is who this one is.
    // errc::unsupported, with both versions in the sentence, when they do not fit.
    caf::result<node_hello>(join_atom, node_hello),
    // What the sender serves from now on, all of it.
    caf::result<void>(announce_atom, std::vector<service>),
    // Spawns a chain here, that lives as long as the node that asked is connected.
    caf::result<chain_actor>(spawn_atom, chain_spec, call_context),
    caf::result<node_status>(status_atom)>;

} // namespace chainmail
