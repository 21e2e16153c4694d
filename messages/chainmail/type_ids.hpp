// The type-ID block: which types may stand in a message, and the atoms. Order is part of the wire
// format. Only types of our own are in it: an application may register any other, such as
// std::vector<std::string>, in its block.
#pragma once

#include <chainmail/actors.hpp>
#include <chainmail/fwd.hpp>

#include <caf/error.hpp>
#include <caf/type_id.hpp>

/// First type ID of chainmail. An application that has more than 500 IDs of its own, or another
/// library here, sets the CMake variable of this name when it builds chainmail: the targets, the
/// installed package and the pkg-config file carry it to who uses them. All nodes must agree.
#ifndef CHAINMAIL_FIRST_TYPE_ID
#define CHAINMAIL_FIRST_TYPE_ID (caf::first_custom_type_id + 500)
#endif

CAF_BEGIN_TYPE_ID_BLOCK(chainmail, CHAINMAIL_FIRST_TYPE_ID)

CAF_ADD_TYPE_ID(chainmail, (chainmail::call_id))
CAF_ADD_TYPE_ID(chainmail, (chainmail::deadline))
CAF_ADD_TYPE_ID(chainmail, (chainmail::call_context))
CAF_ADD_TYPE_ID(chainmail, (chainmail::error_detail))
CAF_ADD_TYPE_ID(chainmail, (chainmail::errc))

CAF_ADD_TYPE_ID(chainmail, (chainmail::document))
CAF_ADD_TYPE_ID(chainmail, (chainmail::value))
CAF_ADD_TYPE_ID(chainmail, (chainmail::values))
CAF_ADD_TYPE_ID(chainmail, (std::vector<chainmail::document>))
CAF_ADD_TYPE_ID(chainmail, (std::vector<chainmail::values>))

CAF_ADD_TYPE_ID(chainmail, (chainmail::chat_message))
CAF_ADD_TYPE_ID(chainmail, (chainmail::llm_parameters))
CAF_ADD_TYPE_ID(chainmail, (chainmail::llm_request))
CAF_ADD_TYPE_ID(chainmail, (chainmail::completion))
CAF_ADD_TYPE_ID(chainmail, (chainmail::token_usage))
CAF_ADD_TYPE_ID(chainmail, (chainmail::llm_result))

CAF_ADD_TYPE_ID(chainmail, (chainmail::http_header))
CAF_ADD_TYPE_ID(chainmail, (chainmail::secret_headers))
CAF_ADD_TYPE_ID(chainmail, (chainmail::http_request))
CAF_ADD_TYPE_ID(chainmail, (chainmail::http_timings))
CAF_ADD_TYPE_ID(chainmail, (chainmail::http_response))

CAF_ADD_TYPE_ID(chainmail, (chainmail::chain_description))
CAF_ADD_TYPE_ID(chainmail, (chainmail::outcome))
CAF_ADD_TYPE_ID(chainmail, (std::vector<chainmail::outcome>))
CAF_ADD_TYPE_ID(chainmail, (chainmail::gather_options))
CAF_ADD_TYPE_ID(chainmail, (chainmail::gather_progress))

CAF_ADD_TYPE_ID(chainmail, (std::vector<chainmail::chat_message>))
CAF_ADD_TYPE_ID(chainmail, (chainmail::embed_request))
CAF_ADD_TYPE_ID(chainmail, (chainmail::embeddings))
CAF_ADD_TYPE_ID(chainmail, (chainmail::metadata_filter))
CAF_ADD_TYPE_ID(chainmail, (chainmail::search_options))
CAF_ADD_TYPE_ID(chainmail, (chainmail::retrieval_query))
CAF_ADD_TYPE_ID(chainmail, (chainmail::scored_document))
CAF_ADD_TYPE_ID(chainmail, (std::vector<chainmail::scored_document>))
CAF_ADD_TYPE_ID(chainmail, (chainmail::document_ids))
CAF_ADD_TYPE_ID(chainmail, (chainmail::metadata_texts))
CAF_ADD_TYPE_ID(chainmail, (chainmail::index_status))
CAF_ADD_TYPE_ID(chainmail, (chainmail::conversation_turn))
CAF_ADD_TYPE_ID(chainmail, (chainmail::conversation))

CAF_ADD_TYPE_ID(chainmail, (chainmail::provider_limits))
CAF_ADD_TYPE_ID(chainmail, (chainmail::attempt))
CAF_ADD_TYPE_ID(chainmail, (chainmail::demand))
CAF_ADD_TYPE_ID(chainmail, (chainmail::permit))
CAF_ADD_TYPE_ID(chainmail, (chainmail::permit_use))
CAF_ADD_TYPE_ID(chainmail, (chainmail::permit_report))
CAF_ADD_TYPE_ID(chainmail, (chainmail::lease_demand))
CAF_ADD_TYPE_ID(chainmail, (chainmail::lease))
CAF_ADD_TYPE_ID(chainmail, (chainmail::lease_report))
CAF_ADD_TYPE_ID(chainmail, (chainmail::limiter_key_status))
CAF_ADD_TYPE_ID(chainmail, (chainmail::limiter_status))
CAF_ADD_TYPE_ID(chainmail, (chainmail::http_status))
CAF_ADD_TYPE_ID(chainmail, (chainmail::limiter_share))

CAF_ADD_TYPE_ID(chainmail, (chainmail::service))
CAF_ADD_TYPE_ID(chainmail, (std::vector<chainmail::service>))
CAF_ADD_TYPE_ID(chainmail, (chainmail::node_hello))
CAF_ADD_TYPE_ID(chainmail, (chainmail::chain_spec))
CAF_ADD_TYPE_ID(chainmail, (chainmail::service_status))
CAF_ADD_TYPE_ID(chainmail, (chainmail::node_status))

CAF_ADD_TYPE_ID(chainmail, (chainmail::content_part))
CAF_ADD_TYPE_ID(chainmail, (chainmail::tool_call))
CAF_ADD_TYPE_ID(chainmail, (chainmail::tool_description))
CAF_ADD_TYPE_ID(chainmail, (chainmail::agent_step))

CAF_ADD_TYPE_ID(chainmail, (chainmail::sink_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::chain_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::llm_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::http_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::rate_limiter_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::cache_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::observer_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::gather_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::embedder_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::vector_index_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::retriever_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::memory_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::node_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::tool_actor))
CAF_ADD_TYPE_ID(chainmail, (chainmail::agent_observer_actor))

CAF_ADD_ATOM(chainmail, chainmail, acquire_atom)
CAF_ADD_ATOM(chainmail, chainmail, add_atom)
CAF_ADD_ATOM(chainmail, chainmail, announce_atom)
CAF_ADD_ATOM(chainmail, chainmail, call_atom)
CAF_ADD_ATOM(chainmail, chainmail, cancel_atom)
CAF_ADD_ATOM(chainmail, chainmail, chunk_atom)
CAF_ADD_ATOM(chainmail, chainmail, describe_atom)
CAF_ADD_ATOM(chainmail, chainmail, embed_atom)
CAF_ADD_ATOM(chainmail, chainmail, erase_atom)
CAF_ADD_ATOM(chainmail, chainmail, fetch_atom)
CAF_ADD_ATOM(chainmail, chainmail, finished_atom)
CAF_ADD_ATOM(chainmail, chainmail, gather_atom)
CAF_ADD_ATOM(chainmail, chainmail, generate_atom)
CAF_ADD_ATOM(chainmail, chainmail, join_atom)
CAF_ADD_ATOM(chainmail, chainmail, lease_atom)
CAF_ADD_ATOM(chainmail, chainmail, list_atom)
CAF_ADD_ATOM(chainmail, chainmail, load_atom)
CAF_ADD_ATOM(chainmail, chainmail, retrieve_atom)
CAF_ADD_ATOM(chainmail, chainmail, save_atom)
CAF_ADD_ATOM(chainmail, chainmail, search_atom)
CAF_ADD_ATOM(chainmail, chainmail, settle_atom)
CAF_ADD_ATOM(chainmail, chainmail, spawn_atom)
CAF_ADD_ATOM(chainmail, chainmail, started_atom)
CAF_ADD_ATOM(chainmail, chainmail, status_atom)
CAF_ADD_ATOM(chainmail, chainmail, stream_atom)
CAF_ADD_ATOM(chainmail, chainmail, share_atom)
// The two below never leave their actor: a response that became mail, and the engine's next turn.
CAF_ADD_ATOM(chainmail, chainmail, reply_atom)
CAF_ADD_ATOM(chainmail, chainmail, turn_atom)

CAF_END_TYPE_ID_BLOCK(chainmail)

CAF_ERROR_CODE_ENUM(chainmail::errc)
