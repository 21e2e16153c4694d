// Two steps each: embed, then search or add.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/retrieval/retriever.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

using found_documents = std::vector<scored_document>;

/// What both actors do: embed texts, and ask the index for a Result with the vectors.
template <class Result>
class two_steps {
public:
  using promise = caf::typed_response_promise<Result>;

  two_steps(caf::scheduled_actor* self, embedder_actor embedder, vector_index_actor index)
    : self_(self),
      embedder_(std::move(embedder)),
      index_(std::move(index)),
      replies_(self, "the embedder or the index") {}

  auto on_reply() { return replies_.on_reply(); }

  /// Runs `next(rows)` when the texts are embedded, unless `caller` had to be told an error.
  template <class F>
  void embed(std::vector<std::string> texts, const call_context& context, promise caller, F next) {
    if (replies_.is_full())
      return caller.deliver(make_failure(errc::overloaded, "too many calls are under way"));
    if (is_late(context, caller))
      return;
    auto count = texts.size();
    replies_.ask<embeddings>(
        embedder_, context.due,
        [this, count, context, caller, next = std::move(next)](embeddings& rows) mutable {
          if (rows.size() != count)
            caller.deliver(make_failure(
                errc::malformed_response, "the embedder gave " + std::to_string(rows.size()) +
                                              " vectors for " + std::to_string(count) + " texts"));
          else if (!is_late(context, caller))
            next(rows);
        },
        [caller](caf::error& error) mutable { caller.deliver(std::move(error)); }, embed_atom_v,
        embed_request{std::move(texts)}, context);
  }

  /// Asks the index; `finish(Result&)` may change the answer.
  template <class F, class... Ts>
  void ask_index(const call_context& context, promise caller, F finish, Ts&&... xs) {
    replies_.ask<Result>(
        index_, context.due,
        [caller, finish](Result& result) mutable {
          finish(result);
          caller.deliver(std::move(result));
        },
        [caller](caf::error& error) mutable { caller.deliver(std::move(error)); },
        std::forward<Ts>(xs)..., context);
  }

  /// The embedder answers for its call; what is with the index is nearly done.
  void cancel(const call_id& id) { compat::anon_send(embedder_, cancel_atom_v, id); }

private:
  bool is_late(const call_context& context, promise& caller) {
    if (!context.due.has_passed(self_->clock().now()))
      return false;
    caller.deliver(
        make_failure(errc::timed_out, "the deadline passed before the call's next step"));
    return true;
  }

  caf::scheduled_actor* self_;
  embedder_actor embedder_;
  vector_index_actor index_;
  reply_table replies_;
};

// -- finding -----------------------------------------------------------------------------------

/// False when the two contradict each other.
bool merge(metadata_filter& into, const metadata_filter& more) {
  for (const auto& [key, text] : more.equal)
    if (auto [at, is_new] = into.equal.emplace(key, text); !is_new && at->second != text)
      return false;
  return true;
}

struct retriever_state {
  static constexpr const char* name = "chainmail.retriever";

  using actor_type = hub_actor<retriever_actor, retriever_state>;

  retriever_state(actor_type* self_ptr, embedder_actor embedder, vector_index_actor index,
      retriever_options opts)
    : self(self_ptr),
      options(std::move(opts)),
      steps(self_ptr, std::move(embedder), std::move(index)) {}

  hub<retriever_actor>::behavior_type make_behavior() {
    return {
        [this](retrieve_atom, const retrieval_query& query, const call_context& context) {
          return retrieve(query, context);
        },
        [this](cancel_atom, const call_id& id) { steps.cancel(id); },
        steps.on_reply(),
    };
  }

  caf::result<found_documents> retrieve(const retrieval_query& query, const call_context& context) {
    if (query.text.empty())
      return make_failure(errc::invalid_input, "the query has no text to search for");
    if (query.k == 0)
      return make_failure(
          errc::invalid_input, "a query for k = 0 documents finds nothing; k is at least 1");
    search_options search{query.k, options.filter, options.mmr_lambda, options.fetch_k};
    if (!merge(search.filter, query.filter))
      return found_documents{};
    auto caller = self->make_response_promise<found_documents>();
    steps.embed({query.text}, context, caller,
        [this, context, caller, search = std::move(search)](embeddings& row) {
          auto leave_out = [threshold = options.score_threshold](found_documents& found) {
            if (threshold)
              std::erase_if(found, [&](const auto& x) { return x.score < *threshold; });
          };
          steps.ask_index(context, caller, leave_out, search_atom_v, std::move(row), search);
        });
    return caller;
  }

  actor_type* self;
  retriever_options options;
  two_steps<found_documents> steps;
};

// -- adding ------------------------------------------------------------------------------------

struct indexer_state {
  static constexpr const char* name = "chainmail.indexer";

  using actor_type = hub_actor<indexer_actor, indexer_state>;

  indexer_state(actor_type* self_ptr, embedder_actor embedder, vector_index_actor index)
    : self(self_ptr), steps(self_ptr, std::move(embedder), std::move(index)) {}

  hub<indexer_actor>::behavior_type make_behavior() {
    return {
        [this](add_atom, std::vector<document>& documents, const call_context& context) {
          return add(std::move(documents), context);
        },
        [this](cancel_atom, const call_id& id) { steps.cancel(id); },
        steps.on_reply(),
    };
  }

  caf::result<document_ids> add(std::vector<document> documents, const call_context& context) {
    if (documents.empty())
      return document_ids{};
    std::vector<std::string> texts;
    texts.reserve(documents.size());
    for (const auto& added : documents)
      texts.push_back(added.content);
    auto caller = self->make_response_promise<document_ids>();
    steps.embed(std::move(texts), context, caller,
        [this, context, caller, documents = std::move(documents)](embeddings& rows) mutable {
          steps.ask_index(
              context, caller, [](document_ids&) {}, add_atom_v, std::move(documents),
              std::move(rows));
        });
    return caller;
  }

  actor_type* self;
  two_steps<document_ids> steps;
};

void check(const embedder_actor& embedder, const vector_index_actor& index, const char* who) {
  if (!embedder || !index)
    throw std::invalid_argument{std::string{who} + " needs a valid embedder and a valid index"};
}

} // namespace

retriever_actor spawn_retriever(caf::actor_system& system, embedder_actor embedder,
    vector_index_actor index, retriever_options options) {
  check(embedder, index, "a retriever");
  if (!(options.mmr_lambda <= 1))
    throw std::invalid_argument{"mmr_lambda is at most 1, or negative for plain similarity"};
  if (options.score_threshold && !(*options.score_threshold <= 1))
    throw std::invalid_argument{"no score is above 1, so score_threshold is at most 1"};
  return system.spawn<retriever_state::actor_type>(
      std::move(embedder), std::move(index), std::move(options));
}

indexer_actor spawn_indexer(
    caf::actor_system& system, embedder_actor embedder, vector_index_actor index) {
  check(embedder, index, "an indexer");
  return system.spawn<indexer_state::actor_type>(std::move(embedder), std::move(index));
}

caf::expected<document_ids> add_documents(caf::scoped_actor& self, const embedder_actor& embedder,
    const vector_index_actor& index, std::vector<document> documents, caf::timespan timeout) {
  auto indexer = spawn_indexer(self->home_system(), embedder, index);
  call_context context;
  context.id = call_id::make();
  context.due.at = self->clock().now();
  context.due.at = context.due.plus(timeout);
  caf::expected<document_ids> result{document_ids{}};
  compat::request(self.ptr(), indexer, add_atom_v, std::move(documents), context)
      .receive([&result](document_ids& ids) { result = std::move(ids); },
          [&result](caf::error& error) {
            result = to_failure(std::move(error), "the embedder or the index");
          });
  return result;
}

} // namespace chainmail
