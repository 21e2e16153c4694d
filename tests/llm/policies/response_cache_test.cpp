// The cache in memory, its keys, and estimates of usage.
#include <chainmail/errors.hpp>
#include <chainmail/llm/policies/response_cache.hpp>
#include <chainmail/llm/policies/usage_estimate.hpp>

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <set>

namespace response_cache_test {

using namespace chainmail;
using namespace std::literals;

namespace {

const response_cache::time_point start{1'000h};

llm_result answer(const std::string& text) {
  llm_result result;
  result.completions = {{text, "stop"}};
  result.attempts.resize(1);
  result.limits.emplace();
  return result;
}

cache_options of_bytes(size_t bytes) {
  cache_options result;
  result.max_bytes = bytes;
  return result;
}

} // namespace

TEST_CASE("requests that differ in anything have different keys") {
  std::vector<std::function<void(llm_request&)>> changes = {
      [](llm_request&) {},
      [](llm_request& x) { x.prompts = {"a"}; },
      [](llm_request& x) {
        x.prompts = {"a", ""};
      },
      [](llm_request& x) {
        x.prompts = {"", "a"};
      },
      [](llm_request& x) { x.prompts = {"ab"}; },
      [](llm_request& x) {
        x.prompts = {"a", "b"};
      },
      [](llm_request& x) { x.prompts = {"1;a1;b"}; },
      [](llm_request& x) { x.stop = {"a"}; },
      [](llm_request& x) {
        x.stop = {"a", "b"};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a"}};
      },
      [](llm_request& x) {
        x.messages = {{"system", "a"}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a"}, {"user", ""}};
      },
      [](llm_request& x) {
        x.messages = {{"usera", ""}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a", {{"b", ""}}}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a", {{"", "b"}}}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a", {{"", "b"}, {"", "b"}}}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a", {}, {{"i", "n", "{}"}}}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a", {}, {{"i", "n", "[]"}}}};
      },
      [](llm_request& x) {
        x.messages = {{"user", "a", {}, {}, "i"}};
      },
      [](llm_request& x) { x.tools = {{"t"}}; },
      [](llm_request& x) {
        x.tools = {{"t", "d"}};
      },
      [](llm_request& x) {
        x.tools = {{"t", "d", "{}"}};
      },
      [](llm_request& x) { x.tool_choice = "t"; },
      [](llm_request& x) { x.response_schema = "{}"; },
      [](llm_request& x) { x.parameters.model = ""; },
      [](llm_request& x) { x.parameters.model = "a"; },
      [](llm_request& x) { x.parameters.user = "a"; },
      [](llm_request& x) { x.parameters.temperature = 0; },
      [](llm_request& x) { x.parameters.temperature = 1; },
      [](llm_request& x) { x.parameters.temperature = 1.0000000000000002; },
      [](llm_request& x) { x.parameters.top_p = 0; },
      [](llm_request& x) { x.parameters.frequency_penalty = 0; },
      [](llm_request& x) { x.parameters.presence_penalty = 0; },
      [](llm_request& x) { x.parameters.max_tokens = 0; },
      [](llm_request& x) { x.parameters.max_tokens = 1; },
      [](llm_request& x) { x.parameters.n = 1; },
      [](llm_request& x) { x.parameters.best_of = 1; },
      [](llm_request& x) { x.parameters.seed = 1; },
      [](llm_request& x) {
        x.parameters.extra = {{"a", "1"}};
      },
      [](llm_request& x) {
        x.parameters.extra = {{"a", "2"}};
      },
      [](llm_request& x) {
        x.parameters.extra = {{"a", "1"}, {"b", "1"}};
      },
  };
  std::set<std::string> keys;
  for (const auto& change : changes) {
    llm_request request;
    change(request);
    keys.insert(cache_key("scope", request, {}));
    keys.insert(cache_key("scope2", request, {}));
  }
  CHECK(keys.size() == 2 * changes.size());
}

TEST_CASE("a default counts like the same parameter of the request, unless that says otherwise") {
  llm_request request;
  llm_parameters defaults;
  defaults.model = "m";
  defaults.temperature = 0.5;
  auto with_defaults = cache_key("", request, defaults);
  CHECK(with_defaults != cache_key("", request, {}));
  request.parameters.model = "m";
  request.parameters.temperature = 0.5;
  CHECK(cache_key("", request, {}) == with_defaults);
  CHECK(cache_key("", request, defaults) == with_defaults);
  request.parameters.temperature = 0.6;
  CHECK(cache_key("", request, defaults) != with_defaults);
}

TEST_CASE("temperature 0 or a seed make an answer that can be repeated") {
  llm_request request;
  llm_parameters defaults;
  CHECK_FALSE(is_deterministic(request, defaults));
  defaults.temperature = 0;
  CHECK(is_deterministic(request, defaults));
  request.parameters.temperature = 0.1;
  CHECK_FALSE(is_deterministic(request, defaults));
  request.parameters.seed = 1;
  CHECK(is_deterministic(request, defaults));
}

TEST_CASE("a cache gives back what it holds, without what was only true of the first call") {
  response_cache cache{of_bytes(1'000'000)};
  CHECK(cache.find("a", start) == nullptr);
  cache.insert("a", answer("x"), start);
  const auto* found = cache.find("a", start);
  REQUIRE(found);
  CHECK(found->text() == "x");
  CHECK(found->is_cached);
  CHECK(found->attempts.empty());
  CHECK_FALSE(found->limits);
  cache.insert("a", answer("y"), start);
  CHECK(cache.find("a", start)->text() == "y");
  CHECK(cache.size() == 1);
}

TEST_CASE("a cache forgets what is too old") {
  response_cache cache{{1'000'000, 1h, true}};
  cache.insert("a", answer("x"), start);
  CHECK(cache.find("a", start + 59min));
  CHECK_FALSE(cache.find("a", start + 60min));
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);
}

TEST_CASE("a full cache forgets what was not used for longest, and keeps to its size") {
  response_cache one{of_bytes(1'000'000)};
  one.insert("k0", answer(std::string(500, 'x')), start);
  auto each = one.bytes();
  CHECK(each > 500);
  response_cache cache{of_bytes(3 * each)};
  for (const auto* key : {"k0", "k1", "k2"})
    cache.insert(key, answer(std::string(500, 'x')), start);
  CHECK(cache.size() == 3);
  CHECK(cache.find("k0", start));
  cache.insert("k3", answer(std::string(500, 'x')), start);
  CHECK(cache.size() == 3);
  CHECK(cache.bytes() <= 3 * each);
  CHECK(cache.find("k0", start));
  CHECK_FALSE(cache.find("k1", start));
  cache.insert("large", answer(std::string(5'000, 'x')), start);
  CHECK_FALSE(cache.find("large", start));
  CHECK(cache.size() == 3);
}

TEST_CASE("options of a cache that can never work are refused") {
  CHECK_FALSE(check(cache_options{}));
  CHECK(check(of_bytes(0)) == errc::invalid_input);
  CHECK(check(cache_options{1, 0s, true}) == errc::invalid_input);
  CHECK(check(cache_options{1, caf::timespan::max(), true}) == errc::invalid_input);
}

// -- usage ------------------------------------------------------------------------------------

TEST_CASE("usage is estimated from the prompt, and from the last completions") {
  usage_estimate usage{std::make_shared<token_counter>()};
  llm_request request;
  request.prompts = {"one two three four"};
  llm_parameters defaults;
  defaults.max_tokens = 1'000;
  auto prompt = usage.of({}, {}) - 16; // nothing is known of completions yet
  CHECK(prompt == 0);
  CHECK(usage.of(request, defaults) > 1'000);
  for (auto i = 0; i < 100; ++i)
    usage.learn(1, {4, 50, 54});
  auto usual = usage.of(request, defaults);
  CHECK(usual > 50);
  CHECK(usual < 60);
  request.parameters.n = 3;
  CHECK(usage.of(request, defaults) > usual + 90);
  request.parameters.n.reset();
  defaults.max_tokens = 10;
  CHECK(usage.of(request, defaults) < 20);
}

TEST_CASE("completions of different lengths are reserved for with a margin") {
  usage_estimate usage{std::make_shared<token_counter>()};
  for (auto i = 0; i < 200; ++i)
    usage.learn(1, {1, i % 2 == 0 ? 50 : 150, 0});
  auto each = usage.of({}, {});
  CHECK(each > 130);
  CHECK(each < 170);
}

TEST_CASE("nonsense teaches an estimate nothing") {
  usage_estimate usage{std::make_shared<token_counter>()};
  usage.learn(0, {1, 1'000, 1});
  usage.learn(1, {1, -5, 1});
  usage.learn(1, {});
  CHECK(usage.of({}, {}) == 16);
}

TEST_CASE("an estimate counts all that a chat holds: parts, pictures, calls, tools and a schema") {
  usage_estimate estimate{std::make_shared<token_counter>()};
  llm_request request;
  request.messages = {{"user", "hi"}};
  auto least = estimate.of(request, {});
  auto with = [&](auto change) {
    auto changed = request;
    change(changed);
    return estimate.of(changed, {}) - least;
  };
  const std::string words = "a dozen words or so that stand for any text at all";
  CHECK(with([&](llm_request& x) { x.messages[0].parts = {{words, ""}}; }) > 5);
  CHECK(with([&](llm_request& x) { x.messages[0].parts = {{"", "https://x/y.png"}}; }) > 500);
  CHECK(with([&](llm_request& x) { x.messages[0].tool_calls = {{"1", "t", words}}; }) > 5);
  CHECK(with([&](llm_request& x) { x.tools = {{"t", words}}; }) > 5);
  CHECK(with([&](llm_request& x) { x.response_schema = words; }) > 5);
}

} // namespace response_cache_test
