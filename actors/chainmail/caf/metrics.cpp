// Names, and what CAF needs to know of each.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/metrics.hpp>

#include <caf/actor_system.hpp>
#include <caf/telemetry/counter.hpp>
#include <caf/telemetry/gauge.hpp>
#include <caf/telemetry/histogram.hpp>
#include <caf/telemetry/metric_registry.hpp>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <span>

namespace chainmail::metrics {

namespace {

using registry = caf::telemetry::metric_registry;

enum class type : uint8_t { counter, sum, gauge, histogram };

/// Calls of models: from an answer out of the cache to minutes.
constexpr double call_buckets[] = {
    0.005, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300, 600};
/// Waits: many are none.
constexpr double wait_buckets[] = {0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
constexpr double first_byte_buckets[] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60};

struct definition {
  /// CAF's: Prometheus sees the prefix before it, dashes as underscores, then unit and "_total".
  const char* name;
  type kind;
  const char* unit;
  std::array<const char*, 2> labels;
  std::span<const double> buckets;
  const char* help;
};

/// In the order of the enumeration.
constexpr definition definitions[] = {
    {"chain-calls", type::counter, "1", {"kind"}, {}, "Calls of chains."},
    {"chain-errors", type::counter, "1", {"kind", "code"}, {}, "Calls of chains that failed."},
    {"chain-in-flight", type::gauge, "1", {"kind"}, {}, "Calls of chains not answered yet."},
    {"chain-duration", type::histogram, "seconds", {"kind"}, call_buckets,
        "From a chain's call to its answer or error."},
    {"llm-calls", type::counter, "1", {"model"}, {}, "Calls of guarded LLMs."},
    {"llm-errors", type::counter, "1", {"model", "code"}, {},
        "Calls of LLMs that failed for good."},
    {"llm-in-flight", type::gauge, "1", {"model"}, {}, "Calls of LLMs not answered yet."},
    {"llm-duration", type::histogram, "seconds", {"model"}, call_buckets,
        "From an LLM's call to its answer or error, waits and retries included."},
    {"llm-attempts", type::counter, "1", {"model"}, {}, "Requests that guards sent to LLMs."},
    {"llm-retries", type::counter, "1", {"model"}, {}, "Attempts after a failed one."},
    {"llm-fallbacks", type::counter, "1", {"model"}, {}, "Calls handed on to the next model."},
    {"llm-hedges", type::counter, "1", {"model"}, {}, "Attempts beside one that took long."},
    {"llm-cache-hits", type::counter, "1", {"model"}, {}, "Calls answered from the cache."},
    {"llm-shared-calls", type::counter, "1", {"model"}, {}, "Calls that joined one under way."},
    {"llm-prompt-tokens", type::counter, "1", {"model"}, {}, "Tokens in, as replies report."},
    {"llm-completion-tokens", type::counter, "1", {"model"}, {}, "Tokens out, as replies report."},
    {"llm-cost", type::sum, "1", {"model"}, {}, "Price of the tokens, in the prices' currency."},
    {"llm-limiter-wait", type::histogram, "seconds", {"model"}, wait_buckets,
        "What attempts waited for their permits."},
    {"llm-first-token", type::histogram, "seconds", {"model"}, first_byte_buckets,
        "From a stream's call to its first text, waits and retries included."},
    {"llm-breaker-open", type::gauge, "1", {"target"}, {}, "Breakers that let no call through."},
    {"http-requests", type::counter, "1", {"status"}, {},
        "Exchanges by the class of their status."},
    {"http-errors", type::counter, "1", {"code"}, {}, "Exchanges without a complete response."},
    {"http-in-flight", type::gauge, "1", {}, {}, "Exchanges on the wire, or at its name servers."},
    {"http-queued", type::gauge, "1", {}, {}, "Exchanges that wait for a free place."},
    {"http-queue", type::histogram, "seconds", {}, wait_buckets,
        "What exchanges waited for a place, or for their host's name."},
    {"http-first-byte", type::histogram, "seconds", {}, first_byte_buckets,
        "From an exchange's start to the first byte of its response."},
    {"http-duration", type::histogram, "seconds", {}, call_buckets,
        "From an exchange's arrival to its complete response."},
    {"http-sent", type::counter, "bytes", {}, {}, "Bodies of requests that were answered."},
    {"http-received", type::counter, "bytes", {}, {}, "Bodies of responses, decompressed."},
    {"limiter-waiting", type::gauge, "1", {}, {}, "Requests that wait for a permit."},
    {"limiter-wait", type::histogram, "seconds", {}, wait_buckets,
        "What requests waited for their permit."},
    {"limiter-permits", type::counter, "1", {}, {}, "Permits granted."},
    {"limiter-refusals", type::counter, "1", {"code"}, {}, "Requests that got no permit."},
    {"gather-in-flight", type::gauge, "1", {}, {}, "Calls of gathers not answered yet."},
    {"gather-outcomes", type::counter, "1", {"code"}, {}, "Outcomes of gathered calls."},
    {"embedder-calls", type::counter, "1", {"model"}, {}, "Calls of embedders."},
    {"embedder-errors", type::counter, "1", {"model", "code"}, {},
        "Calls of embedders that failed."},
    {"embedder-in-flight", type::gauge, "1", {"model"}, {}, "Calls of embedders not answered yet."},
    {"embedder-duration", type::histogram, "seconds", {"model"}, call_buckets,
        "From an embedder's call to its answer or error."},
    {"embedder-retries", type::counter, "1", {"model"}, {}, "Batches sent again."},
    {"embedder-texts", type::counter, "1", {"model"}, {}, "Texts embedded."},
    {"embedder-tokens", type::counter, "1", {"model"}, {}, "Tokens, as replies report."},
    {"remote-calls", type::counter, "1", {"service"}, {}, "Calls of other nodes' services."},
    {"remote-errors", type::counter, "1", {"service", "code"}, {},
        "Calls of other nodes' services that failed."},
    {"remote-in-flight", type::gauge, "1", {"service"}, {},
        "Calls of other nodes' services not answered yet."},
    {"remote-duration", type::histogram, "seconds", {"service"}, call_buckets,
        "From such a call to its answer or error."},
    {"remote-losses", type::counter, "1", {"service"}, {}, "Calls that were lost with a node."},
    {"node-peers", type::gauge, "1", {}, {}, "Other nodes that this one is connected to."},
};

static_assert(std::size(definitions) == size_t{1} + static_cast<size_t>(metric::node_peers));

constexpr const char* prefix = "chainmail";

const definition& definition_of(metric which) {
  return definitions[static_cast<size_t>(which)];
}

size_t label_count(const definition& what) {
  return static_cast<size_t>(
      std::ranges::count_if(what.labels, [](const char* x) { return x != nullptr; }));
}

constexpr bool is_total(type kind) {
  return kind == type::counter || kind == type::sum;
}

std::string printable(std::string_view text) {
  constexpr size_t longest = 100;
  std::string result{text.substr(0, longest)};
  std::ranges::replace_if(
      result, [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; }, '_');
  return result;
}

/// CAF's string view takes no pointers when clang compiles it.
compat::string_view as_view(const char* text) {
  return compat::view(std::string_view{text});
}

template <class T>
registry::span_t<T> as_span(const std::vector<T>& all) {
  return {all.data(), all.size()};
}

/// `family(names)` looks the family up. The result is its instance with these labels.
template <class Family>
auto* instance(const definition& what, label_values labels, Family family) {
  assert(labels.size() == label_count(what));
  std::vector<compat::string_view> names;
  std::vector<std::string> texts;
  for (auto text : labels) {
    names.push_back(as_view(what.labels[names.size()]));
    texts.push_back(printable(text));
  }
  std::vector<caf::telemetry::label_view> pairs;
  for (size_t i = 0; i < names.size(); ++i)
    pairs.emplace_back(names[i], compat::view(texts[i]));
  return family(as_span(names))->get_or_add(as_span(pairs));
}

template <class Number>
auto* counter_series(caf::actor_system& system, metric which, label_values labels) {
  const auto& what = definition_of(which);
  return instance(what, labels, [&](auto names) {
    return system.metrics().counter_family<Number>(as_view(prefix), as_view(what.name), names,
        as_view(what.help), as_view(what.unit), is_total(what.kind));
  });
}

} // namespace

std::vector<description> all() {
  constexpr const char* types[] = {"counter", "counter", "gauge", "histogram"};
  std::vector<description> result;
  for (const auto& what : definitions) {
    auto& added = result.emplace_back();
    added.name = std::string{prefix} + "_" + what.name;
    std::ranges::replace(added.name, '-', '_');
    if (what.unit != std::string_view{"1"})
      added.name += std::string{"_"} + what.unit;
    if (is_total(what.kind))
      added.name += "_total";
    added.type = types[static_cast<size_t>(what.kind)];
    added.labels.assign(what.labels.begin(), what.labels.begin() + label_count(what));
    added.help = what.help;
  }
  return result;
}

// -- series -----------------------------------------------------------------------------

counter::counter(caf::actor_system& system, metric which, label_values labels)
  : series_(counter_series<int64_t>(system, which, labels)) {
}

void counter::add(int64_t amount) const {
  if (amount > 0)
    series_->inc(amount);
}

sum::sum(caf::actor_system& system, metric which, label_values labels)
  : series_(counter_series<double>(system, which, labels)) {
}

void sum::add(double amount) const {
  if (amount > 0)
    series_->inc(amount);
}

histogram::histogram(caf::actor_system& system, metric which, label_values labels) {
  const auto& what = definition_of(which);
  series_ = instance(what, labels, [&](auto names) {
    return system.metrics().histogram_family<double>(as_view(prefix), as_view(what.name), names,
        registry::span_t<double>{what.buckets.data(), what.buckets.size()}, as_view(what.help),
        as_view(what.unit));
  });
}

void histogram::observe(caf::timespan took) const {
  series_->observe(std::chrono::duration<double>(took).count());
}

gauge::gauge(caf::actor_system& system, metric which, label_values labels) {
  const auto& what = definition_of(which);
  series_ = instance(what, labels, [&](auto names) {
    return system.metrics().gauge_family<int64_t>(
        as_view(prefix), as_view(what.name), names, as_view(what.help), as_view(what.unit));
  });
}

gauge::~gauge() {
  set(0);
}

void gauge::add(int64_t amount) {
  if (amount == 0)
    return;
  part_ += amount;
  series_->inc(amount);
}

by_code::by_code(caf::actor_system& system, metric which, label_values labels)
  : system_(&system), which_(which), labels_(labels.begin(), labels.end()) {
}

void by_code::count(errc code) {
  auto index = static_cast<size_t>(code);
  if (index >= series_.size())
    return;
  auto& series = series_[index];
  if (series == nullptr) {
    auto text = to_string(code);
    series = labels_.empty() ? counter_series<int64_t>(*system_, which_, {text})
                             : counter_series<int64_t>(*system_, which_, {labels_.front(), text});
  }
  series->inc();
}

// -- calls ------------------------------------------------------------------------------

namespace {

metric after(metric first, int steps) {
  return static_cast<metric>(static_cast<int>(first) + steps);
}

} // namespace

calls::calls(caf::actor_system& system, metric first, std::string_view label)
  : calls_(system, first, {label}),
    errors_(system, after(first, 1), {label}),
    in_flight_(system, after(first, 2), {label}),
    duration_(system, after(first, 3), {label}) {
}

void calls::begin() {
  calls_.add();
  in_flight_.add(1);
}

void calls::end(caf::timespan took) {
  in_flight_.add(-1);
  duration_.observe(took);
}

void calls::end(caf::timespan took, errc why) {
  end(took);
  errors_.count(why);
}

} // namespace chainmail::metrics
