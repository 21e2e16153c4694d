// Forward declarations of the vocabulary: every struct and atom that a message can carry.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace chainmail {

// -- calls ----------------------------------------------------------------------

struct call_id;
struct deadline;
struct call_context;
struct error_detail;
struct attempt;
enum class errc : uint8_t;

// -- values ---------------------------------------------------------------------

struct document;
struct content_part;
struct tool_call;
struct chat_message;

/// One input or output of a chain. A `const char*` becomes text, an `int` a number.
using value = std::variant<std::string, int64_t, double, bool, std::vector<std::string>,
    std::vector<document>, std::vector<chat_message>>;

/// The inputs or the outputs of one chain call, by name.
using values = std::map<std::string, value, std::less<>>;

// -- LLM and HTTP -----------------------------------------------------------------

struct llm_parameters;
struct tool_description;
struct llm_request;
struct completion;
struct token_usage;
struct llm_result;

struct http_header;
struct http_request;
struct http_timings;
struct http_response;
struct http_status;
class secret_headers;

// -- limits ---------------------------------------------------------------------

struct provider_limits;
struct demand;
struct permit;
struct permit_report;
struct lease_demand;
struct lease;
struct lease_report;
struct limiter_share;
struct limiter_key_status;
struct limiter_status;
enum class permit_use : uint8_t;

// -- chains -----------------------------------------------------------------------

struct chain_description;
struct outcome;
struct gather_options;
struct gather_progress;
struct agent_step;

// -- retrieval and memory -----------------------------------------------------------

struct embed_request;
struct embeddings;
struct metadata_filter;
struct search_options;
struct retrieval_query;
struct scored_document;
struct document_ids;
struct metadata_texts;
struct index_status;
struct conversation_turn;
struct conversation;

// -- clusters ---------------------------------------------------------------------

struct service;
struct node_hello;
struct chain_spec;
struct service_status;
struct node_status;

// -- atoms ------------------------------------------------------------------------

struct acquire_atom;
struct add_atom;
struct announce_atom;
struct call_atom;
struct cancel_atom;
struct chunk_atom;
struct describe_atom;
struct embed_atom;
struct erase_atom;
struct fetch_atom;
struct finished_atom;
struct gather_atom;
struct generate_atom;
struct join_atom;
struct lease_atom;
struct list_atom;
struct load_atom;
struct reply_atom;
struct retrieve_atom;
struct save_atom;
struct search_atom;
struct settle_atom;
struct share_atom;
struct spawn_atom;
struct started_atom;
struct status_atom;
struct stream_atom;
struct turn_atom;

} // namespace chainmail
