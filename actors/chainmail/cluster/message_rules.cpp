// The rules, type by type.
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/typed_message_view.hpp>

#include <chrono>
#include <cmath>
#include <string>
#include <string_view>
#include <type_traits>

namespace chainmail {

namespace {

/// Over any context window; under largest_frame, with room for what stands around it.
constexpr size_t most_said_text = size_t{6} << 20U;
constexpr size_t longest_said_name = 1'000;
constexpr size_t most_entries = 10'000;
constexpr uint32_t most_said_permits = 100'000;
constexpr int64_t most_said_tokens = int64_t{1} << 40;
constexpr uint32_t most_documents = 10'000;
constexpr size_t most_tools = 200;
/// Completions of one call.
constexpr uint32_t most_completions = 1'000'000;

/// Goes through one message and keeps the first thing that is wrong.
class rules {
public:
  caf::error take_error() { return std::move(error_); }

  [[nodiscard]] bool is_too_much() const { return bytes_ > most_said_text; }

  // -- the parts ------------------------------------------------------------------------

  void text(const char* field, std::string_view what) {
    bytes_ += what.size();
    if (bytes_ > most_said_text)
      refuse(field, "is more text than the 6 MiB that a message may have: send it in parts");
    else if (!is_utf8(what))
      refuse(field, "is not UTF-8");
  }

  void name(const char* field, std::string_view what) {
    if (what.size() > longest_said_name)
      refuse(field, "has more than 1000 bytes");
    text(field, what);
  }

  void entries(const char* field, size_t count) {
    if (count > most_entries)
      refuse(field, "has more than 10000 entries: send them in parts");
  }

  template <class T>
  void range(const char* field, const T& what, T least, T most) {
    if (!(what >= least && what <= most)) // also what is no number
      refuse(field, "is out of range");
  }

  template <class T>
  void range(const char* field, const std::optional<T>& what, T least, T most) {
    if (what)
      range(field, *what, least, most);
  }

  void time(const char* field, const std::optional<caf::timespan>& what) {
    range(field, what, caf::timespan{0}, caf::timespan{std::chrono::hours{24 * 366}});
  }

  template <class Handle>
  void handle(const char* field, const Handle& what) {
    if (!what)
      refuse(field, "is missing");
  }

  void texts(const char* field, const std::vector<std::string>& what) {
    entries(field, what.size());
    for (const auto& each : what)
      text(field, each);
  }

  void names(const char* field, const std::map<std::string, std::string>& what) {
    entries(field, what.size());
    for (const auto& [key, content] : what) {
      name(field, key);
      text(field, content);
    }
  }

  // -- chainmail's types ----------------------------------------------------------------

  void check(const call_context& x) { name("the tenant", x.tenant); }

  void check(const call_id&) {}

  void check(const chat_message& x) {
    name("the role of a chat message", x.role);
    text("a chat message", x.content);
    entries("the parts of a chat message", x.parts.size());
    for (const auto& each : x.parts) {
      text("a part of a chat message", each.text);
      text("an image of a chat message", each.image);
    }
    check(x.tool_calls);
    name("the tool_call_id of a chat message", x.tool_call_id);
  }

  void check(const std::vector<tool_call>& x) {
    entries("the tool calls", x.size());
    for (const auto& each : x) {
      name("the ID of a tool call", each.id);
      name("the name of a tool call", each.name);
      text("the arguments of a tool call", each.arguments);
    }
  }

  void check(const tool_description& x) {
    name("the name of a tool", x.name);
    text("the description of a tool", x.description);
    text("the parameters of a tool", x.parameters);
  }

  void check(const document& x) {
    text("a document", x.content);
    names("the metadata of a document", x.metadata);
  }

  void check(const llm_request& x) {
    texts("the prompts", x.prompts);
    entries("the chat", x.messages.size());
    for (const auto& each : x.messages)
      check(each);
    texts("the stop sequences", x.stop);
    check(x.parameters);
    if (x.tools.size() > most_tools)
      refuse("the tools", "are more than 200, which no provider takes");
    for (const auto& each : x.tools)
      check(each);
    name("the tool choice", x.tool_choice);
    text("the response schema", x.response_schema);
  }

  /// No more than what some provider takes: which ones it is for is not known here.
  void check(const llm_parameters& x) {
    constexpr auto most = int64_t{1} << 31;
    if (x.model)
      name("the model", *x.model);
    range("temperature", x.temperature, 0., 100.);
    range("max_tokens", x.max_tokens, int64_t{0}, most);
    range("top_p", x.top_p, 0., 1.);
    range("frequency_penalty", x.frequency_penalty, -100., 100.);
    range("presence_penalty", x.presence_penalty, -100., 100.);
    range("n", x.n, uint32_t{0}, uint32_t{1'000});
    range("best_of", x.best_of, uint32_t{0}, uint32_t{1'000});
    if (x.user)
      name("the user", *x.user);
    names("the extra parameters", x.extra);
  }

  void check(const values& x) {
    entries("the inputs", x.size());
    for (const auto& [key, what] : x) {
      name("the name of an input", key);
      std::visit([this](const auto& content) { check_input(content); }, what);
    }
  }

  void check_input(const std::string& x) { text("an input", x); }
  void check_input(int64_t) {}
  void check_input(bool) {}
  void check_input(double x) {
    if (!std::isfinite(x))
      refuse("an input", "is no finite number");
  }
  template <class T>
  void check_input(const std::vector<T>& x) {
    entries("an input", x.size());
    for (const auto& each : x)
      if constexpr (std::is_same_v<T, std::string>)
        text("an input", each);
      else
        check(each);
  }

  /// The arguments of a tool, and its answer.
  void check(const std::string& x) { text("a text", x); }

  void check(const embed_request& x) { texts("the texts", x.texts); }

  void check(const sink_actor& x) { handle("the sink", x); }

  void check(const retrieval_query& x) {
    text("the query", x.text);
    range("k", x.k, uint32_t{0}, most_documents);
    names("the filter", x.filter.equal);
  }

  void check(const demand& x) {
    name("the key", x.key);
    range("the tokens", x.tokens, int64_t{0}, most_said_tokens);
  }

  void check(const lease_demand& x) {
    name("the key", x.key);
    range("the permits", x.permits, uint32_t{0}, most_said_permits);
    range("the tokens", x.tokens, int64_t{0}, most_said_tokens);
    time("the age", x.age);
  }

  void check(const permit_report& x) {
    range("the tokens used", x.tokens, int64_t{-1}, most_said_tokens);
    time("retry_after", x.retry_after);
    check(x.limits);
  }

  void check(const lease_report& x) {
    for (auto count : {x.answered, x.rate_limited, x.failed, x.unused})
      range("a count of permits", count, uint32_t{0}, most_said_permits);
    range("the tokens reserved", x.tokens_reserved, int64_t{0}, most_said_tokens);
    range("the tokens used", x.tokens_used, int64_t{0}, most_said_tokens);
    time("retry_after", x.retry_after);
    check(x.limits);
  }

  void check(const std::optional<provider_limits>& x) {
    if (!x)
      return;
    for (const auto* limit :
        {&x->request_limit, &x->requests_left, &x->token_limit, &x->tokens_left})
      range("a limit", *limit, int64_t{0}, most_said_tokens);
    time("a reset", x->requests_reset);
    time("a reset", x->tokens_reset);
  }

  // -- answers ---------------------------------------------------------------------------

  void check(const llm_result& x) {
    if (x.completions.empty())
      refuse("the answer of an LLM", "has no completion");
    entries("the completions", x.completions.size());
    for (const auto& each : x.completions) {
      text("a completion", each.text);
      name("a finish reason", each.finish_reason);
      check(each.tool_calls);
    }
    time("the time of the first token", x.first_token);
    check(x.usage);
    name("the model", x.model);
    name("the node", x.node);
    check(x.limits);
    entries("the attempts", x.attempts.size());
    for (const auto& each : x.attempts) {
      name("the target of an attempt", each.target);
      text("the reason of an attempt", each.reason);
    }
  }

  void check(const token_usage& x) {
    for (auto count : {x.prompt_tokens, x.completion_tokens, x.total_tokens})
      range("a count of tokens", count, int64_t{0}, most_said_tokens);
  }

  void check(const chain_description& x) {
    texts("the input keys", x.input_keys);
    texts("the output keys", x.output_keys);
  }

  void check(const embeddings& x) {
    name("the model", x.model);
    check(x.usage);
    if (x.dimension == 0 ? !x.numbers.empty() : x.numbers.size() % x.dimension != 0)
      refuse("the embeddings", "have rows that are not of one length");
    for (auto number : x.numbers)
      if (!std::isfinite(number))
        refuse("the embeddings", "have a number that is not finite");
  }

  void check(const std::vector<scored_document>& x) {
    entries("the documents", x.size());
    for (const auto& each : x) {
      check(each.found);
      check_input(each.score);
    }
  }

  void check_chunk(uint32_t index, std::string_view what) {
    range("the index of a chunk", index, uint32_t{0}, most_completions);
    text("a chunk", what);
  }

  void check(const permit&) {}

  void check(const lease& x) {
    range("the permits", x.permits, uint32_t{0}, most_said_permits);
    range("the tokens", x.tokens, int64_t{0}, most_said_tokens);
    time("the time of a lease", x.valid_for);
    check(x.share);
  }

  void check(const limiter_share& x) {
    name("the key of a share", x.key);
    range("the requests of a share", x.requests_per_minute, int64_t{0}, most_said_tokens);
    range("the tokens of a share", x.tokens_per_minute, int64_t{0}, most_said_tokens);
    time("the time of a share", x.after);
  }

  void check(const limiter_status& x) {
    entries("the keys", x.keys.size());
    for (const auto& each : x.keys)
      name("a key", each.key);
  }

  // -- messages -------------------------------------------------------------------------

  /// False when the message is of other types.
  template <class Atom, class... Ts>
  bool is(const caf::message& content) {
    auto view = caf::make_const_typed_message_view<Atom, Ts...>(content);
    if (!view)
      return false;
    check_parts<Ts...>(view, std::index_sequence_for<Ts...>{});
    return true;
  }

  /// The same for a message without an atom.
  template <class T>
  bool is_one(const caf::message& content) {
    if (content.size() != 1 || !content.match_element<T>(0))
      return false;
    check(content.get_as<T>(0));
    return true;
  }

private:
  template <class... Ts, class View, size_t... Is>
  void check_parts(const View& view, std::index_sequence<Is...>) {
    (check(caf::get<Is + 1>(view)), ...);
  }

  void check(uint64_t) {}

  void refuse(const char* field, const char* why) {
    if (!error_)
      error_ = make_failure(errc::invalid_input,
          std::string{"a message from another node was refused: "} + field + " " + why);
  }

  size_t bytes_ = 0;
  caf::error error_;
};

bool is_for_llm(rules& x, const caf::message& content) {
  return x.is<generate_atom, llm_request, call_context>(content) ||
         x.is<stream_atom, llm_request, sink_actor, call_context>(content);
}

bool is_for_chain(rules& x, const caf::message& content) {
  return x.is<call_atom, values, call_context>(content) ||
         x.is<stream_atom, values, sink_actor, call_context>(content) ||
         x.is<describe_atom>(content);
}

bool is_for_tool(rules& x, const caf::message& content) {
  return x.is<call_atom, std::string, call_context>(content) || x.is<describe_atom>(content);
}

bool is_for_limiter(rules& x, const caf::message& content) {
  return x.is<lease_atom, lease_demand, call_context>(content) ||
         x.is<settle_atom, lease_report>(content) ||
         x.is<acquire_atom, demand, call_context>(content) ||
         x.is<settle_atom, uint64_t, permit_report>(content) || x.is<status_atom>(content);
}

bool is_for(std::string_view kind, rules& x, const caf::message& content) {
  if (kind == "llm")
    return is_for_llm(x, content);
  if (kind == "chain")
    return is_for_chain(x, content);
  if (kind == "embedder")
    return x.is<embed_atom, embed_request, call_context>(content);
  if (kind == "retriever")
    return x.is<retrieve_atom, retrieval_query, call_context>(content);
  if (kind == "tool")
    return is_for_tool(x, content);
  return kind == "rate_limiter" && is_for_limiter(x, content);
}

} // namespace

caf::error check_message(std::string_view kind, const caf::message& content) {
  rules all;
  if (!is_for(kind, all, content) && !all.is<cancel_atom, call_id>(content))
    return make_failure(errc::unsupported,
        "a message from another node was refused: it is not for a service of the kind \"" +
            std::string{kind} + "\"");
  return all.take_error();
}

caf::error check_share(const caf::message& content) {
  rules all;
  if (!all.is<share_atom, limiter_share>(content))
    return make_failure(errc::unsupported, "a limiter tells those who lease of it shares only");
  return all.take_error();
}

caf::error check_answer(std::string_view kind, const caf::message& answer) {
  rules all;
  auto is_known = answer.empty();
  if (kind == "llm")
    is_known = all.is_one<llm_result>(answer) || is_known;
  else if (kind == "chain")
    is_known = all.is_one<values>(answer) || all.is_one<chain_description>(answer) || is_known;
  else if (kind == "embedder")
    is_known = all.is_one<embeddings>(answer) || is_known;
  else if (kind == "retriever")
    is_known = all.is_one<std::vector<scored_document>>(answer) || is_known;
  else if (kind == "tool")
    is_known = all.is_one<std::string>(answer) || all.is_one<tool_description>(answer) || is_known;
  else if (kind == "rate_limiter")
    is_known = all.is_one<lease>(answer) || all.is_one<permit>(answer) ||
               all.is_one<limiter_status>(answer) || is_known;
  if (!is_known)
    return make_failure(errc::malformed_response,
        "the answer is none that a service of the kind \"" + std::string{kind} + "\" gives");
  auto error = all.take_error();
  if (!error)
    return {};
  return make_failure(
      all.is_too_much() ? errc::response_too_large : errc::malformed_response, sentence_of(error));
}

caf::error check_chunk(uint32_t index, std::string_view text) {
  rules all;
  all.check_chunk(index, text);
  return all.take_error();
}

caf::error error_from_peer(const caf::error& error, const char* who) {
  auto code = errc::internal;
  if (error.category() == caf::type_id_v<errc>) {
    auto flat = flatten(error);
    if (!from_integer(error.code(), code) || code == errc::none || !is_utf8(flat.sentence) ||
        (flat.detail && !is_utf8(flat.detail->text_so_far)))
      return make_failure(
          errc::internal, std::string{who} + " failed, in a way that it could not say");
    return error;
  }
  auto is_known = error.category() == caf::type_id_v<caf::sec> ||
                  error.category() == caf::type_id_v<caf::exit_reason>;
  return is_known ? to_failure(error.category() == caf::type_id_v<caf::sec>
                                   ? caf::make_error(static_cast<caf::sec>(error.code()))
                                   : caf::make_error(static_cast<caf::exit_reason>(error.code())),
                        who)
                  : make_failure(
                        errc::internal, std::string{who} + " failed, in a way that is not known");
}

} // namespace chainmail
