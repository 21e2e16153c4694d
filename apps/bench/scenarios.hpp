// What the bench can run.
#pragma once

#include "measure.hpp"
#include "report.hpp"

#include <chainmail/llm/spawn_llm.hpp>

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstddef>
#include <cstdint>

namespace chainmail::bench {

/// How much of it.
struct load {
  /// Of the scenarios that are given their endpoint.
  llm_config llm;
  /// Single calls; at most `in_flight` of them at once.
  size_t calls = 1'000;
  size_t in_flight = 1'000;
  /// Calls to make before, not measured.
  size_t warm_up = 0;
  /// Whether `llm` names an endpoint that somebody chose.
  bool has_endpoint = false;
  /// Of the calls that are made at a constant rate; 0 for what the scenario finds out.
  double per_second = 0;
  /// How long `soak` takes.
  caf::timespan duration = std::chrono::minutes{10};
  /// Of `endpoint`, which `soak` starts.
  caf::timespan latency{0};
  /// Chain calls gathered, each over this many documents.
  size_t chains = 10;
  size_t documents = 40;
  /// What the endpoint of `limits` allows.
  uint64_t requests_per_minute = 600;
  uint64_t tokens_per_minute = 60'000;
  /// Its limits are not configured, but learned from what it says.
  bool learn = false;
  /// Mean length of its prompts.
  size_t words = 20;
  /// How long the endpoint of `outage` is down.
  caf::timespan outage = std::chrono::seconds{20};
};

/// llm_chain calls through gather.
caf::expected<figures> fanout(caf::actor_system& system, const load& how_much);

/// The same with an LLM in this process that answers at once: what chains and gathers cost themselves.
caf::expected<figures> chain_only(caf::actor_system& system, const load& how_much);

/// fetches of the HTTP actors alone, with the requests of `fanout`.
caf::expected<figures> engine(caf::actor_system& system, const load& how_much);

/// Permits of a limiter that lets 100 out at once, while `in_flight` callers wait.
caf::expected<figures> limiter(caf::actor_system& system, const load& how_much);

/// llm_chain calls at a constant rate, and how long each took.
caf::expected<report> rate(caf::actor_system& system, const load& how_much);

/// The peer of `rate`, and without a rate of `fanout`: libcurl alone, on one thread.
caf::expected<report> plain_curl(caf::actor_system& system, const load& how_much);

/// map_reduce question answering: one round of map steps, one of combining.
caf::expected<figures> map_reduce(caf::actor_system& system, const load& how_much);

/// Follow-up questions over an index: a round each of condensing, embedding and answering.
caf::expected<figures> chat_vector_db(caf::actor_system& system, const load& how_much);

/// llm_chain calls of a fast host, alone and while `in_flight` calls wait for a slow host.
caf::expected<report> waiting(caf::actor_system& system, const load& how_much);

/// llm_chain calls at a constant rate for a long time, at half of the best rate unless another is
/// given: whether memory grows, and what is left at the end.
caf::expected<report> soak(caf::actor_system& system, const load& how_much);

/// Programs that make one call each, one after the other: `one_call` of this program.
caf::expected<report> start_up(caf::actor_system& system, const load& how_much);

/// One call.
caf::expected<report> one_call(caf::actor_system& system, const load& how_much);

/// A simulated endpoint: prints its base URL, and serves until its standard input ends.
caf::expected<report> endpoint(caf::actor_system& system, const load& how_much);

// The others run against an endpoint that they simulate themselves, through spawn_llm, and demand
// something of what they count.

/// Single calls to an endpoint that breaks three replies in ten, each in one of eight ways.
caf::expected<report> chaos(caf::actor_system& system, const load& how_much);

/// More calls than an endpoint with strict limits allows in a minute.
caf::expected<report> limits(caf::actor_system& system, const load& how_much);

/// One call, which is told twice to come back after a second.
caf::expected<report> two_429s(caf::actor_system& system, const load& how_much);

/// 500 calls a second to an endpoint that is down for a while.
caf::expected<report> outage(caf::actor_system& system, const load& how_much);

/// Calls of which some are slow, without hedging and with it.
caf::expected<report> hedging(caf::actor_system& system, const load& how_much);

/// Streams of 200 tokens, 50 a second each, through gather; then the first token's time against
/// libcurl's, a consumer that is slow, and a cancel in the middle. Needs chainmail-simulator beside it.
caf::expected<report> streams(caf::actor_system& system, const load& how_much);

/// Calls of a scripted LLM in another process, of this program, and the same ones in this process.
/// Needs a system whose configuration has called load_cluster.
caf::expected<report> remote(caf::actor_system& system, const load& how_much);

/// The other process of `remote`: prints its port, and serves until its standard input ends.
caf::expected<report> remote_node(caf::actor_system& system, const load& how_much);

} // namespace chainmail::bench
