// The usual stack over real HTTP, and its settings.
#include "support/http_calls.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <chainmail/caf/main.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/llm/llm_settings.hpp>

#include <caf/actor_system.hpp>
#include <caf/config_option_set.hpp>
#include <caf/settings.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <simulator/simulator.hpp>

namespace spawn_llm_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

using Catch::Matchers::ContainsSubstring;

namespace {

struct real_config : caf::actor_system_config {
  real_config() { tune_scheduler(*this); }
};

struct stack_fixture {
  explicit stack_fixture(simulator::options options = {}) : endpoint(options) {
    config.endpoint = {};
    config.endpoint.base_url = endpoint.base_url();
    config.endpoint.defaults.model = "gpt-test";
  }

  llm_actor spawn() { return spawn_llm(system, http, config); }

  caf::expected<llm_result> ask(const llm_actor& llm, const std::string& prompt = "Say hello.") {
    return generate(self, llm, prompt, 20s);
  }

  simulator::server endpoint;
  real_config system_config;
  caf::actor_system system{system_config};
  caf::scoped_actor self{system};
  http_actor http = spawn_http(system);
  llm_config config;
};

simulator::options scripted(std::vector<simulator::fault> script) {
  simulator::options result;
  result.script = std::move(script);
  return result;
}

} // namespace

TEST_CASE("the usual stack answers, and says of whom it asked") {
  stack_fixture f;
  auto result = f.ask(f.spawn());
  REQUIRE(result);
  REQUIRE(result->attempts.size() == 1);
  CHECK(result->attempts[0].target == f.endpoint.base_url() + "/completions gpt-test");
}

TEST_CASE("two 429s with Retry-After 1 are answered within 2.3 s") {
  using simulator::fault;
  stack_fixture f{scripted({fault::rate_limited, fault::rate_limited, fault::ok})};
  auto llm = f.spawn();
  auto begin = std::chrono::steady_clock::now();
  auto result = f.ask(llm);
  auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE(result);
  CHECK(result->attempts.size() == 3);
  CHECK(result->attempts[0].http_status == 429);
  CHECK(took >= 2s);
  CHECK(took < 2300ms);
}

TEST_CASE("a Retry-After that is a date is honoured") {
  using simulator::fault;
  auto options = scripted({fault::rate_limited, fault::ok});
  options.retry_after = 2s;
  options.retry_after_as_date = true;
  stack_fixture f{options};
  auto begin = std::chrono::steady_clock::now();
  auto result = f.ask(f.spawn());
  auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE(result);
  CHECK(took >= 1s); // dates are of whole seconds
  CHECK(took < 3200ms);
}

TEST_CASE("attempts at one call carry one Idempotency-Key") {
  using simulator::fault;
  stack_fixture f{scripted({fault::server_error, fault::reset, fault::truncated, fault::ok})};
  f.config.retry.first_delay = 20ms;
  auto result = f.ask(f.spawn());
  REQUIRE(result);
  CHECK(result->attempts.size() >= 3); // libcurl itself repeats what a reset took
  CHECK(f.endpoint.snapshot().distinct_calls == 1);
  CHECK(f.endpoint.snapshot().repeated_calls == 3);
}

TEST_CASE("another endpoint answers for one that cannot be reached") {
  stack_fixture f;
  f.config.fallbacks.push_back(f.config.endpoint);
  f.config.endpoint.base_url = "http://127.0.0.1:1/v1";
  f.config.retry.max_attempts = 2;
  f.config.retry.first_delay = 20ms;
  auto result = f.ask(f.spawn());
  REQUIRE(result);
  REQUIRE(result->attempts.size() == 3);
  CHECK(result->attempts[0].code == errc::connection_failed);
  CHECK_THAT(result->attempts[2].target, ContainsSubstring(f.endpoint.base_url()));
}

TEST_CASE("limits that an endpoint speaks of are honoured without being configured") {
  simulator::options options;
  options.requests_per_minute = 1'200;
  stack_fixture f{options};
  auto llm = f.spawn();
  REQUIRE(f.ask(llm)); // from this reply they are known
  std::vector<call_context> contexts;
  auto begin = std::chrono::steady_clock::now();
  size_t answered = 0;
  for (auto i = 0; i < 60; ++i) {
    llm_request request;
    request.prompts = {"Say " + std::to_string(i)};
    compat::send(f.self.ptr(), llm, generate_atom_v, request, make_context(f.self.ptr(), 20s));
  }
  while (answered < 60)
    f.self->receive([&](const llm_result&) { ++answered; },
        [&](const caf::error& why) { FAIL(describe(why)); });
  auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took > 2s); // 20 a second, and a small burst
  CHECK(f.endpoint.snapshot().rate_limited == 0);
}

TEST_CASE("of a call and its hedge, the slower one is aborted at its socket") {
  simulator::options options;
  options.latency = 10ms;
  options.slow = {0.1, 30};
  stack_fixture f{options};
  f.config.hedge.emplace();
  auto llm = f.spawn();
  size_t hedged = 0;
  for (auto i = 0; i < 150; ++i) {
    auto result = f.ask(llm, "Say " + std::to_string(i));
    REQUIRE(result);
    hedged += result->attempts.size() == 2 ? 1 : 0;
  }
  CHECK(hedged > 0);
  CHECK(hedged <= 15);
  CHECK(eventually([&] { return f.endpoint.snapshot().in_flight == 0; }));
  // On a busy machine, one that is not slow may be hedged, too, and be answered in time.
  CHECK(f.endpoint.snapshot().aborted <= hedged);
  CHECK(2 * f.endpoint.snapshot().aborted >= hedged);
}

TEST_CASE("answers that a file keeps are there for the next process") {
  temporary_folder folder;
  stack_fixture f;
  f.config.endpoint.defaults.temperature = 0;
  f.config.cache.emplace();
  f.config.cache_file = folder.path("answers.sqlite");
  auto first = f.ask(f.spawn());
  REQUIRE(first);
  CHECK_FALSE(first->is_cached);
  // Another stack, with nothing in its memory. The file is written behind the answer.
  caf::expected<llm_result> second{caf::error{}};
  auto kept = eventually([&] {
    second = f.ask(f.spawn());
    return second && second->is_cached;
  });
  REQUIRE(kept);
  CHECK(second->text() == first->text());
  f.config.endpoint.defaults.seed = 1;
  CHECK_FALSE(f.ask(f.spawn())->is_cached);
}

TEST_CASE("the usual stack refuses a configuration that cannot work") {
  stack_fixture f;
  f.config.cache_file = "somewhere";
  CHECK_THAT(refusal_of([&] { f.spawn(); }), ContainsSubstring("cache"));
  f.config = {};
  f.config.endpoint.base_url = "127.0.0.1";
  CHECK_THAT(refusal_of([&] { f.spawn(); }), ContainsSubstring("base_url"));
  CHECK_THAT(refusal_of([&] { spawn_llm(f.system, {}, {}); }), ContainsSubstring("HTTP actor"));
}

// -- settings ---------------------------------------------------------------------------------

TEST_CASE("settings change what they were set to, and nothing else") {
  llm_config config;
  REQUIRE_FALSE(llm_settings{}.apply_to(config));
  CHECK(config.retry.max_attempts == retry_options{}.max_attempts);
  CHECK_FALSE(config.hedge);
  CHECK_FALSE(config.cache);
  CHECK_FALSE(config.limits.defaults.requests_per_minute);
  llm_settings settings;
  settings.base_url = "http://127.0.0.1:8080/v1";
  settings.model = "large";
  settings.fallback_models = {"small", "tiny"};
  settings.requests_per_minute = 600;
  settings.tokens_per_minute = 60'000;
  settings.max_in_flight = 8;
  settings.attempts = 2;
  settings.first_token_timeout = 7s;
  settings.idle_timeout = 8s;
  settings.hedge = true;
  settings.cache = true;
  REQUIRE_FALSE(settings.apply_to(config));
  CHECK(config.endpoint.base_url == settings.base_url);
  CHECK(config.endpoint.defaults.model == "large");
  REQUIRE(config.fallbacks.size() == 2);
  CHECK(std::get<openai_options>(config.fallbacks[1]).base_url == settings.base_url);
  CHECK(std::get<openai_options>(config.fallbacks[1]).defaults.model == "tiny");
  CHECK(config.limits.defaults.requests_per_minute == 600);
  CHECK(config.limits.defaults.tokens_per_minute == 60'000);
  CHECK(config.limits.defaults.max_in_flight == 8);
  CHECK(config.retry.max_attempts == 2);
  CHECK(std::get<openai_options>(config.fallbacks[1]).first_token_timeout == 7s);
  CHECK(config.endpoint.idle_timeout == 8s);
  CHECK(config.hedge);
  CHECK(config.cache);
}

TEST_CASE("settings that make no sense are refused") {
  llm_config config;
  llm_settings settings;
  settings.attempts = 0;
  CHECK(settings.apply_to(config) == errc::invalid_input);
  settings = {};
  settings.base_url = "ftp://host";
  CHECK(settings.apply_to(config) == errc::invalid_input);
  settings = {};
  settings.completion_price = -1;
  CHECK(settings.apply_to(config) == errc::invalid_input);
  settings = {};
  settings.requests_per_minute = uint64_t{1} << 62U;
  CHECK(settings.apply_to(config) == errc::invalid_input);
}

TEST_CASE("a price is that of the model that is asked, also where none is named") {
  llm_settings settings;
  settings.prompt_price = 0.5;
  settings.completion_price = 1.5;
  llm_config unnamed;
  unnamed.endpoint = openai_options{};
  REQUIRE_FALSE(settings.apply_to(unnamed));
  CHECK(unnamed.prices.at("").completion == 1.5);
  settings.model = "small";
  llm_config named;
  REQUIRE_FALSE(settings.apply_to(named));
  CHECK(named.prices.size() == 1);
  CHECK(named.prices.at("small").prompt == 0.5);
}

TEST_CASE("settings are options of a program by name") {
  caf::config_option_set options;
  llm_settings settings;
  settings.add_to(options);
  caf::settings parsed;
  auto result = options.parse(parsed,
      {"--llm.requests-per-minute=600", "--llm.hedge", "--llm.fallback-models=[\"a\", \"b\"]"});
  CHECK(result.first == caf::pec::success);
  CHECK(settings.requests_per_minute == 600);
  CHECK(settings.hedge);
  CHECK(settings.fallback_models == std::vector<std::string>{"a", "b"});
}

} // namespace spawn_llm_test
