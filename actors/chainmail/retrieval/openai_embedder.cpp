// The embedder actor: split into batches, encode, fetch, decode, put together.
#include <chainmail/caf/metrics.hpp>
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/llm/openai_wire.hpp>
#include <chainmail/prompts/utf8.hpp>
#include <chainmail/retrieval/openai_embedder.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/typed_response_promise.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>

namespace chainmail {

namespace {

void add_tokens(int64_t& to, int64_t tokens) {
  to = tokens > std::numeric_limits<int64_t>::max() - to ? std::numeric_limits<int64_t>::max()
                                                         : to + tokens;
}

/// One call under way.
struct embed_job {
  std::pair<call_id, uint64_t> key;
  call_context context;
  deadline::clock::time_point begin;
  std::vector<std::string> texts;
  caf::typed_response_promise<embeddings> caller;
  /// One for each batch.
  std::vector<embeddings> parts;
  size_t next = 0;
  size_t done = 0;
  /// Batches that are with the HTTP actor, or wait to be sent again.
  std::set<size_t> outstanding;
  std::map<size_t, retry_state> failures;
  bool is_over = false;
};

using embed_job_ptr = std::shared_ptr<embed_job>;

/// Of a model that an endpoint names, in an error: code points.
constexpr size_t longest_named_model = 100;

caf::expected<embeddings> put_together(std::vector<embeddings>& parts) {
  auto result = std::move(parts.front());
  for (size_t i = 1; i < parts.size(); ++i) {
    auto& part = parts[i];
    if (part.dimension != result.dimension || part.model != result.model)
      return make_failure(
          errc::malformed_response, "the endpoint answered one call with vectors of two kinds: " +
                                        std::to_string(result.dimension) + " numbers from '" +
                                        one_line(result.model, longest_named_model) + "' and " +
                                        std::to_string(part.dimension) + " from '" +
                                        one_line(part.model, longest_named_model) +
                                        "'; name one model, without a server that chooses");
    result.numbers.insert(result.numbers.end(), part.numbers.begin(), part.numbers.end());
    add_tokens(result.usage.prompt_tokens, part.usage.prompt_tokens);
    add_tokens(result.usage.completion_tokens, part.usage.completion_tokens);
    add_tokens(result.usage.total_tokens, part.usage.total_tokens);
    part = {};
  }
  return result;
}

struct openai_embedder_state {
  static constexpr const char* name = "chainmail.openai_embedder";

  using actor_type = hub_actor<embedder_actor, openai_embedder_state>;

  openai_embedder_state(
      actor_type* self_ptr, http_actor engine, openai_options opts, embedder_options what)
    : self(self_ptr), http(std::move(engine)), options(std::move(opts)), asked(std::move(what)) {}

  hub<embedder_actor>::behavior_type make_behavior() {
    return {
        replies.on_reply(),
        [this](embed_atom, embed_request& request, const call_context& context) {
          return embed(std::move(request.texts), context);
        },
        [this](cancel_atom, const call_id& id) { cancel(id); },
    };
  }

  caf::result<embeddings> embed(std::vector<std::string> texts, const call_context& context) {
    if (texts.empty())
      return embeddings{};
    counts.begin();
    if (auto error = check_texts(texts)) {
      counts.end({}, code_of(error));
      return error;
    }
    auto job = std::make_shared<embed_job>();
    job->context = context;
    if (!job->context.id)
      job->context.id = call_id::make(); // so that its batches can be cancelled
    job->key = {job->context.id, next_number++};
    job->begin = self->clock().now();
    job->parts.resize((texts.size() - 1) / asked.batch_size + 1);
    job->texts = std::move(texts);
    job->caller = self->make_response_promise<embeddings>();
    under_way.emplace(job->key, job);
    pump(job);
    return job->caller;
  }

  void pump(const embed_job_ptr& job) {
    while (!job->is_over && job->next < job->parts.size() &&
           job->outstanding.size() < asked.concurrent_requests)
      send_batch(job, job->next++);
  }

  void send_batch(const embed_job_ptr& job, size_t batch) {
    if (job->context.due.has_passed(self->clock().now()))
      return fail(job, make_failure(errc::timed_out,
                           "the deadline passed before all texts were sent to be embedded"));
    if (replies.is_full())
      return fail(
          job, make_failure(errc::overloaded, "the embedder has too many requests under way"));
    auto first = batch * asked.batch_size;
    auto count = std::min<size_t>(asked.batch_size, job->texts.size() - first);
    auto body = encode_embeddings(std::span{job->texts}.subspan(first, count), asked);
    auto step = job->context.child(batch);
    auto post = endpoint.post(std::move(body), step.id);
    job->outstanding.insert(batch);
    replies.ask<http_response>(
        http, step.due,
        [this, job, batch, count](http_response& response) {
          if (job->outstanding.erase(batch) != 0)
            take(job, batch, count, response);
        },
        [this, job, batch](caf::error& error) {
          if (job->outstanding.erase(batch) != 0)
            send_again(job, batch, std::move(error));
        },
        fetch_atom_v, std::move(post), step);
  }

  void take(const embed_job_ptr& job, size_t batch, size_t count, http_response& response) {
    auto part = decode_embeddings(count, asked, response, endpoint.name(), options);
    if (!part)
      return send_again(job, batch, std::move(part.error()));
    retry.succeeded();
    job->parts[batch] = std::move(*part);
    if (++job->done < job->parts.size())
      return pump(job);
    auto result = put_together(job->parts);
    if (!result)
      return fail(job, std::move(result.error()));
    end(*job);
    counts.end(self->clock().now() - job->begin);
    embedded.add(static_cast<int64_t>(job->texts.size()));
    tokens.add(std::max(result->usage.prompt_tokens, result->usage.total_tokens));
    job->caller.deliver(std::move(*result));
  }

  void send_again(const embed_job_ptr& job, size_t batch, caf::error why) {
    auto now = self->clock().now();
    auto delay = retry.next(job->failures[batch], why, now, job->context.due);
    if (!delay)
      return fail(job, std::move(why));
    job->outstanding.insert(batch);
    retries.add();
    // The timer keeps the actor: nobody else may.
    compat::run_at(self, now + *delay, [this, keep = embedder_actor{self}, job, batch] {
      if (job->outstanding.erase(batch) != 0)
        send_batch(job, batch);
    });
  }

  void fail(const embed_job_ptr& job, caf::error why) {
    end(*job);
    counts.end(self->clock().now() - job->begin, code_of(why));
    job->caller.deliver(std::move(why));
  }

  /// Requests that are still outstanding are of no use to anyone.
  void end(embed_job& job) {
    job.is_over = true;
    for (auto batch : job.outstanding)
      compat::send(self, http, cancel_atom_v, job.context.id.child(batch));
    job.outstanding.clear();
    under_way.erase(job.key);
  }

  void cancel(const call_id& id) {
    if (!id)
      return;
    std::vector<embed_job_ptr> chosen;
    for (auto i = under_way.lower_bound({id, 0}); i != under_way.end(); ++i) {
      if (i->first.first.root != id.root || (id.step != 0 && i->first.first != id))
        break;
      chosen.push_back(i->second);
    }
    for (const auto& job : chosen)
      fail(job, make_failure(errc::cancelled, "the caller gave the call up"));
  }

  actor_type* self;
  reply_table replies{self, "the HTTP engine"};
  http_actor http;
  openai_options options;
  embedder_options asked;
  metrics::calls counts{self->system(), metrics::metric::embedder_calls_total, asked.model};
  metrics::counter retries{self->system(), metrics::metric::embedder_retries_total, {asked.model}};
  metrics::counter embedded{self->system(), metrics::metric::embedder_texts_total, {asked.model}};
  metrics::counter tokens{self->system(), metrics::metric::embedder_tokens_total, {asked.model}};
  provider_endpoint endpoint = openai_endpoint(options, "/embeddings");
  retry_policy retry{asked.retry, std::random_device{}()};
  uint64_t next_number = 0;
  std::map<std::pair<call_id, uint64_t>, embed_job_ptr> under_way;
};

} // namespace

embedder_actor spawn_openai_embedder(
    caf::actor_system& system, http_actor http, openai_options endpoint, embedder_options options) {
  if (!http)
    throw std::invalid_argument{"an embedder needs a valid HTTP actor"};
  for (const auto& error : {check(endpoint), check(options)})
    if (error)
      throw std::invalid_argument{sentence_of(error)};
  return system.spawn<openai_embedder_state::actor_type>(
      std::move(http), std::move(endpoint), std::move(options));
}

} // namespace chainmail
