// Streams: a crowd of them at once, a consumer that is slow, and a cancel in the middle.
#include "latency_histogram.hpp"
#include "measure.hpp"
#include "processes.hpp"
#include "scenarios.hpp"
#include "stack.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>
#include <unordered_map>

namespace chainmail::bench {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr uint64_t tokens_a_stream = 200;
constexpr uint64_t tokens_a_second = 50;

// -- the endpoint -------------------------------------------------------------------------

/// The simulator's own program, which lies beside this one.
class stream_endpoint {
public:
  explicit stream_endpoint(std::vector<std::string> options)
    : process_(command(std::move(options))) {
    const auto& line = process_.first_line();
    base_url_ = line.substr(line.find("http"));
  }

  [[nodiscard]] const std::string& base_url() const { return base_url_; }

  /// A number of GET /stats.
  [[nodiscard]] uint64_t count_of(const std::string& name) const {
    std::string body;
    auto url = base_url_.substr(0, base_url_.rfind("/v1")) + "/stats";
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), curl_easy_cleanup};
    curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(
        easy.get(), CURLOPT_WRITEFUNCTION, +[](char* data, size_t size, size_t count, void* to) {
          static_cast<std::string*>(to)->append(data, size * count);
          return size * count;
        });
    curl_easy_perform(easy.get());
    auto at = body.find('"' + name + "\":");
    return at == std::string::npos ? 0 : std::stoull(body.substr(at + name.size() + 3));
  }

private:
  static std::vector<std::string> command(std::vector<std::string> options) {
    auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    options.insert(options.begin(), here / "chainmail-simulator");
    return options;
  }

  background_process process_;
  std::string base_url_;
};

load with_endpoint(const load& how_much, const stream_endpoint& endpoint) {
  auto result = how_much;
  result.llm.endpoint = {};
  result.llm.endpoint.base_url = endpoint.base_url();
  result.llm.endpoint.api = openai_api::chat;
  return result;
}

llm_request request_of(std::string text, std::optional<int64_t> max_tokens = {}) {
  llm_request result;
  result.messages = {{.role = "user", .content = std::move(text)}};
  result.parameters.max_tokens = max_tokens;
  return result;
}

// -- who listens --------------------------------------------------------------------------

/// Of this process, now.
/// What came of all streams that share a sink.
struct heard {
  latency_histogram gaps;
  uint64_t pieces = 0;
  uint64_t bytes = 0;
  clock::time_point first = clock::time_point::max();
};

struct listener_state {
  listener_state(sink_actor::pointer, std::shared_ptr<heard> what) : to(std::move(what)) {}

  sink_actor::behavior_type make_behavior() {
    return {[this](chunk_atom, const call_id& id, uint32_t, const std::string& text) {
      auto now = clock::now();
      to->first = std::min(to->first, now);
      if (auto [last, is_new] = latest.try_emplace(id.step, now); !is_new) {
        to->gaps.add(now - last->second);
        last->second = now;
      }
      ++to->pieces;
      to->bytes += text.size();
    }};
  }

  std::shared_ptr<heard> to; ///< a late chunk may come after all is over
  std::unordered_map<uint64_t, clock::time_point> latest;
};

sink_actor spawn_listener(caf::actor_system& system, std::shared_ptr<heard> to) {
  return system.spawn<caf::stateful_actor<listener_state, sink_actor::impl>>(std::move(to));
}

/// Takes its time for each byte, without blocking a thread.
struct slow_state {
  slow_state(sink_actor::pointer self_ptr, std::shared_ptr<std::atomic<uint64_t>> bytes)
    : self(self_ptr), taken(std::move(bytes)) {}

  sink_actor::behavior_type make_behavior() {
    return {
        [this](chunk_atom, const call_id&, uint32_t, const std::string& text) -> caf::result<void> {
          auto promise = self->make_response_promise<void>();
          due = std::max(due, self->clock().now()) + text.size() * time_a_byte;
          compat::run_at(self, due, [this, promise, size = text.size()]() mutable {
            *taken += size;
            promise.deliver();
          });
          return promise;
        }};
  }

  /// A tenth of what the simulator can send, or less.
  static constexpr auto time_a_byte = 2us;

  sink_actor::pointer self;
  std::shared_ptr<std::atomic<uint64_t>> taken;
  clock::time_point due{};
};

// -- a crowd ------------------------------------------------------------------------------

struct crowd_figures {
  std::shared_ptr<heard> found = std::make_shared<heard>();
  size_t answered = 0;
  double wall_s = 0;
  double cpu_s = 0;
  long kib = 0; ///< that memory grew by
  std::string first_error;
};

caf::expected<crowd_figures> run_crowd(caf::actor_system& system, const load& how_much) {
  stream_endpoint endpoint{{"--token-rate=" + std::to_string(tokens_a_second), "--token-jitter=0.2",
      "--reply-tokens=" + std::to_string(tokens_a_stream)}};
  auto plan = with_endpoint(how_much, endpoint);
  stack all{system, plan, plan.in_flight};
  auto chain = spawn_llm_chain(system, all.llm, "Tell me something, number {number}.");
  std::vector<values> inputs;
  for (size_t i = 0; i < plan.calls; ++i)
    inputs.push_back({{"number", std::to_string(i)}});
  crowd_figures result;
  gather_options options;
  options.max_in_flight = static_cast<uint32_t>(plan.in_flight);
  options.sink = spawn_listener(system, result.found);
  auto before_kib = rss_kib();
  caf::error failure;
  stopwatch watch;
  gather(all.self.ptr(), chain, std::move(inputs), std::move(options),
      make_context(all.self.ptr(), caf::infinite))
      .receive(
          [&](const std::vector<outcome>& outcomes) {
            for (const auto& each : outcomes) {
              result.answered += each.ok() ? 1 : 0;
              if (!each.ok() && result.first_error.empty())
                result.first_error = describe(each.error);
            }
          },
          [&](caf::error& error) { failure = std::move(error); });
  if (failure)
    return failure;
  result.wall_s = watch.wall_s();
  result.cpu_s = watch.cpu_s();
  result.kib = peak_rss_kib() - before_kib;
  return result;
}

// -- the first token ----------------------------------------------------------------------

/// What libcurl alone does: a POST on a connection that it keeps, and when the body begins.
class plain_client {
public:
  explicit plain_client(const std::string& base_url) : url_(base_url + "/chat/completions") {
    curl_easy_setopt(easy_.get(), CURLOPT_URL, url_.c_str());
    curl_easy_setopt(easy_.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(easy_.get(), CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy_.get(), CURLOPT_WRITEDATA, &first_);
    curl_easy_setopt(
        easy_.get(), CURLOPT_WRITEFUNCTION, +[](char*, size_t size, size_t count, void* first) {
          auto& at = *static_cast<clock::time_point*>(first);
          at = std::min(at, clock::now());
          return size * count;
        });
  }

  double first_us() {
    first_ = clock::time_point::max();
    auto begin = clock::now();
    curl_easy_perform(easy_.get());
    return std::chrono::duration<double, std::micro>(first_ - begin).count();
  }

private:
  static constexpr auto body =
      R"({"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}],"stream":true,)"
      R"("stream_options":{"include_usage":true},"max_tokens":2})";

  std::string url_;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_{curl_easy_init(), curl_easy_cleanup};
  clock::time_point first_;
};

struct first_token_figures {
  double ours_us = 0;
  double curl_us = 0;
};

/// Medians, of calls that take turns.
first_token_figures compare_first_tokens(caf::actor_system& system, const load& how_much) {
  constexpr size_t rounds = 200;
  stream_endpoint endpoint{{}};
  auto plan = with_endpoint(how_much, endpoint);
  stack all{system, plan, 1};
  plain_client curl{endpoint.base_url()};
  std::vector<double> ours;
  std::vector<double> theirs;
  for (size_t i = 0; i < rounds; ++i) {
    auto found = std::make_shared<heard>();
    auto sink = spawn_listener(system, found);
    auto begin = clock::now();
    compat::request_within(10s, all.self.ptr(), all.llm, stream_atom_v,
        request_of("Hello " + std::to_string(i), 2), sink, make_context(all.self.ptr(), 10s))
        .receive([](const llm_result&) {}, [](const caf::error&) {});
    ours.push_back(std::chrono::duration<double, std::micro>(found->first - begin).count());
    theirs.push_back(curl.first_us());
  }
  return {percentile(ours, 0.5), percentile(theirs, 0.5)};
}

// -- a slow consumer ----------------------------------------------------------------------

struct slow_figures {
  uint64_t sent_tokens_midway = 0;
  uint64_t taken_tokens_midway = 0;
  bool is_whole = false;
  long kib = 0;
};

slow_figures feed_slowly(caf::actor_system& system, const load& how_much) {
  constexpr uint64_t tokens = 400'000;
  stream_endpoint endpoint{{"--reply-tokens=" + std::to_string(tokens)}};
  auto plan = with_endpoint(how_much, endpoint);
  caf::scoped_actor self{system};
  http_options http;
  http.max_response_bytes = size_t{1} << 30U; // events are fifty times as long as their tokens
  auto llm = spawn_llm(system, spawn_http(system, http), plan.llm);
  auto taken = std::make_shared<std::atomic<uint64_t>>(0);
  sink_actor sink = system.spawn<caf::stateful_actor<slow_state, sink_actor::impl>>(taken);
  slow_figures result;
  auto before_kib = rss_kib();
  std::jthread observer{[&] {
    while (*taken < tokens * 4 / 2)
      std::this_thread::sleep_for(5ms);
    result.sent_tokens_midway = endpoint.count_of("tokens_streamed");
    result.taken_tokens_midway = *taken / 4;
  }};
  compat::request_within(
      60s, self.ptr(), llm, stream_atom_v, request_of("Hello"), sink, make_context(self.ptr(), 60s))
      .receive(
          [&](const llm_result& whole) {
            result.is_whole = whole.text().size() == tokens * 4 && *taken == tokens * 4;
          },
          [&](const caf::error&) { *taken = tokens * 4; });
  observer.join();
  result.kib = peak_rss_kib() - before_kib;
  return result;
}

// -- a cancel -----------------------------------------------------------------------------

struct cancel_figures {
  double noticed_ms = -1; ///< by the server, after the cancel
  bool keeps_text = false;
};

cancel_figures cancel_midway(caf::actor_system& system, const load& how_much) {
  stream_endpoint endpoint{
      {"--token-rate=" + std::to_string(tokens_a_second), "--reply-tokens=100000"}};
  auto plan = with_endpoint(how_much, endpoint);
  stack all{system, plan, 1};
  auto found = std::make_shared<heard>();
  auto sink = spawn_listener(system, found);
  auto context = make_context(all.self.ptr(), 60s);
  auto pending = compat::request_within(
      60s, all.self.ptr(), all.llm, stream_atom_v, request_of("Hello"), sink, context);
  std::this_thread::sleep_for(500ms);
  auto cancelled_at = std::chrono::system_clock::now().time_since_epoch();
  compat::send(all.self.ptr(), all.llm, cancel_atom_v, context.id);
  cancel_figures result;
  std::move(pending).receive([](const llm_result&) {},
      [&](const caf::error& error) {
        auto detail = detail_of(error);
        result.keeps_text = detail && detail->text_so_far.starts_with("This is a simulated");
      });
  for (int tries = 0; tries < 200 && result.noticed_ms < 0; ++tries) {
    if (endpoint.count_of("streams_closed_early") > 0)
      // The endpoint's clock has whole milliseconds.
      result.noticed_ms =
          std::max(0.0, static_cast<double>(endpoint.count_of("last_closed_early_at")) -
                            std::chrono::duration<double, std::milli>(cancelled_at).count());
    std::this_thread::sleep_for(5ms);
  }
  return result;
}

} // namespace

caf::expected<report> streams(caf::actor_system& system, const load& how_much) {
  curl_global_init(CURL_GLOBAL_ALL);
  // The crowd comes last: what memory it takes would hide what the slow consumer takes.
  auto slow = feed_slowly(system, how_much);
  auto cancel = cancel_midway(system, how_much);
  auto first = compare_first_tokens(system, how_much);
  auto crowd = run_crowd(system, how_much);
  if (!crowd)
    return std::move(crowd.error());
  auto tokens = crowd->found->bytes / 4;
  auto cpu_us = tokens == 0 ? 0 : crowd->cpu_s * 1e6 / static_cast<double>(tokens);
  auto kib = static_cast<double>(crowd->kib) / static_cast<double>(how_much.calls);
  auto behind =
      static_cast<double>(slow.sent_tokens_midway) - static_cast<double>(slow.taken_tokens_midway);
  report_writer result{"streams"};
  result.add("calls", how_much.calls)
      .add("answered", uint64_t{crowd->answered})
      .add("tokens", tokens)
      .add("pieces", crowd->found->pieces)
      .add("wall_s", crowd->wall_s)
      .add("cpu_s", crowd->cpu_s)
      .add("cpu_us_a_token", cpu_us)
      .add("kib_a_stream", kib)
      .add("gap_p50_ms", crowd->found->gaps.percentile_ms(0.5))
      .add("gap_p99_ms", crowd->found->gaps.percentile_ms(0.99))
      .add("gap_max_ms", crowd->found->gaps.max_ms())
      .add("first_token_us", first.ours_us)
      .add("first_token_curl_us", first.curl_us)
      .add("slow_tokens_ahead", behind)
      .add("slow_kib", static_cast<double>(slow.kib))
      .add("cancel_noticed_ms", cancel.noticed_ms);
  result.demand(crowd->answered == how_much.calls && tokens == how_much.calls * tokens_a_stream,
      "some streams are not whole");
  result.demand(
      crowd->found->gaps.percentile_ms(0.99) <= 100, "a gap in a hundred is above 100 ms");
  result.demand(cpu_us < 20, "a token takes 20 us of CPU or more");
  result.demand(kib < 40, "a stream takes 40 KiB of memory or more");
  result.demand(
      first.ours_us - first.curl_us < 100, "the first token comes 100 us later than with curl");
  result.demand(slow.is_whole, "the slow consumer did not get everything");
  result.demand(behind < 100'000, "the slow consumer did not slow the server down");
  result.demand(slow.kib < 16'384, "memory grew while the consumer was slow");
  result.demand(cancel.noticed_ms >= 0 && cancel.noticed_ms < 100,
      "the server did not see within 100 ms that the stream was cancelled");
  result.demand(cancel.keeps_text, "the cancelled call lost the text that it had");
  return result.finish(crowd->first_error);
}

} // namespace chainmail::bench
