#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <random>
#include <support/odd_error.hpp>

namespace message_rules_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// The sentence about a message; empty when there is nothing to say.
template <class... Ts>
std::string said_to(const char* kind, const Ts&... xs) {
  return sentence_of(check_message(kind, caf::make_message(xs...)));
}

/// To whichever kind of service takes it.
template <class... Ts>
std::string said_of(const Ts&... xs) {
  auto content = caf::make_message(xs...);
  for (auto* kind : {"llm", "chain", "embedder", "retriever", "tool"})
    if (auto error = check_message(kind, content); error != errc::unsupported)
      return sentence_of(error);
  return sentence_of(check_message("rate_limiter", content));
}

bool says(const std::string& sentence, const std::string& part) {
  return sentence.find(part) != std::string::npos;
}

llm_request request_with(const std::function<void(llm_request&)>& change) {
  llm_request result;
  result.prompts = {"What is a good name for a company that makes socks?"};
  change(result);
  return result;
}

std::string said_of_request(const std::function<void(llm_request&)>& change) {
  return said_of(generate_atom_v, request_with(change), call_context{});
}

std::string said_of_parameters(const std::function<void(llm_parameters&)>& change) {
  return said_of_request([&](llm_request& x) { change(x.parameters); });
}

std::string said_of_input(value what) {
  return said_of(call_atom_v, values{{"x", std::move(what)}}, call_context{});
}

const auto not_utf8_text = "\xff\xfe"s;
constexpr auto infinity = std::numeric_limits<double>::infinity();
constexpr auto no_number = std::numeric_limits<double>::quiet_NaN();

} // namespace

TEST_CASE("what the interfaces of services ask is let through", "[message_rules]") {
  CHECK(said_of_request([](llm_request&) {}).empty());
  CHECK(said_of_input("hello"s).empty());
  CHECK(said_of(cancel_atom_v, call_id{1, 2}).empty());
  CHECK(said_of(describe_atom_v).empty());
  CHECK(said_of(status_atom_v).empty());
  CHECK(said_of(acquire_atom_v, demand{"key", 10, false}, call_context{}).empty());
  CHECK(said_of(lease_atom_v, lease_demand{"key", 64, 1'000}, call_context{}).empty());
  CHECK(said_of(settle_atom_v, uint64_t{1}, permit_report{}).empty());
  CHECK(said_of(settle_atom_v, lease_report{}).empty());
  CHECK(said_of(embed_atom_v, embed_request{{"text"}}, call_context{}).empty());
  CHECK(said_of(retrieve_atom_v, retrieval_query{"text", 4, {}}, call_context{}).empty());
  CHECK(said_of(call_atom_v, "{}"s, call_context{}).empty());
  CHECK(said_to("tool", describe_atom_v).empty());
  CHECK_FALSE(check_answer("tool", caf::make_message("fine"s)));
  CHECK_FALSE(check_answer("tool", caf::make_message(tool_description{"x"})));
}

TEST_CASE("what services are not asked is refused", "[message_rules]") {
  CHECK(says(said_of(fetch_atom_v, http_request{}, call_context{}), "not for a service"));
  CHECK(says(said_of(int32_t{1}), "not for a service"));
  CHECK(says(said_of(), "not for a service"));
  CHECK(says(said_of(generate_atom_v, llm_request{}), "not for a service"));
  CHECK(says(said_of(load_atom_v, "key"s), "not for a service"));
  CHECK(says(said_to("chain", status_atom_v), "not for a service of the kind \"chain\""));
  CHECK(says(said_to("llm", describe_atom_v), "not for a service"));
  CHECK(says(said_to("anything", cancel_atom_v, int32_t{1}), "not for a service"));
  CHECK(says(said_of(stream_atom_v, llm_request{}, sink_actor{}, call_context{}), "the sink"));
}

TEST_CASE("text must be UTF-8, wherever it stands", "[message_rules]") {
  CHECK(says(said_of_request([](auto& x) { x.prompts = {not_utf8_text}; }), "prompts"));
  CHECK(says(said_of_request([](auto& x) { x.messages = {{"user", not_utf8_text}}; }), "chat"));
  CHECK(says(said_of_request([](auto& x) { x.messages = {{not_utf8_text, "hello"}}; }), "role"));
  CHECK(says(said_of_request([](auto& x) { x.stop = {not_utf8_text}; }), "stop"));
  CHECK(says(said_of_parameters([](auto& x) { x.model = not_utf8_text; }), "model"));
  CHECK(says(said_of_parameters([](auto& x) { x.user = not_utf8_text; }), "user"));
  CHECK(says(said_of_parameters([](auto& x) { x.extra = {{"a", not_utf8_text}}; }), "extra"));
  CHECK(says(said_of_input(not_utf8_text), "input"));
  CHECK(says(said_of_input(std::vector{not_utf8_text}), "input"));
  CHECK(says(said_of_input(std::vector{document{not_utf8_text, {}}}), "document"));
  CHECK(says(said_of_input(std::vector{document{"", {{not_utf8_text, ""}}}}), "metadata"));
  CHECK(says(said_of_input(std::vector{chat_message{"user", not_utf8_text}}), "chat"));
  CHECK(says(said_of(call_atom_v, values{{not_utf8_text, 1}}, call_context{}), "name"));
  CHECK(says(said_of(embed_atom_v, embed_request{{not_utf8_text}}, call_context{}), "texts"));
  CHECK(says(said_of(call_atom_v, not_utf8_text, call_context{}), "a text"));
  CHECK(check_answer("tool", caf::make_message(not_utf8_text)) == errc::malformed_response);
  CHECK(says(
      said_of(retrieve_atom_v, retrieval_query{not_utf8_text, 4, {}}, call_context{}), "query"));
  CHECK(says(said_of(acquire_atom_v, demand{not_utf8_text, 1, false}, call_context{}), "key"));
  call_context context;
  context.tenant = not_utf8_text;
  CHECK(says(said_of(generate_atom_v, llm_request{}, context), "tenant"));
}

TEST_CASE("images, tools and schemas are looked at, too", "[message_rules]") {
  auto in_chat = [](auto change) {
    return said_of_request([&](auto& x) {
      x.messages = {{"user", "hello"}};
      change(x.messages.front());
    });
  };
  CHECK(in_chat([](auto& x) {
    x.parts = {{"text", ""}, {"", "data:image/png;base64,AAAA"}};
  }).empty());
  CHECK(says(in_chat([](auto& x) { x.parts = {{not_utf8_text, ""}}; }), "a part"));
  CHECK(says(in_chat([](auto& x) { x.parts = {{"", not_utf8_text}}; }), "an image"));
  CHECK(says(in_chat([](auto& x) { x.parts.resize(10'001); }), "parts"));
  CHECK(says(in_chat([](auto& x) {
    x.tool_calls = {{not_utf8_text, "", ""}};
  }),
      "ID of a tool call"));
  CHECK(says(in_chat([](auto& x) {
    x.tool_calls = {{"", std::string(1'001, 'x'), ""}};
  }),
      "1000 bytes"));
  CHECK(says(in_chat([](auto& x) { x.tool_calls = {{"", "", not_utf8_text}}; }), "arguments"));
  CHECK(says(in_chat([](auto& x) { x.tool_call_id = not_utf8_text; }), "tool_call_id"));
  CHECK(said_of_request([](auto& x) { x.tools = {{"search", "finds", "{}"}}; }).empty());
  CHECK(says(said_of_request([](auto& x) {
    x.tools = {{not_utf8_text, "", ""}};
  }),
      "name of a tool"));
  CHECK(says(said_of_request([](auto& x) { x.tools = {{"", not_utf8_text, ""}}; }), "description"));
  CHECK(says(said_of_request([](auto& x) { x.tools = {{"", "", not_utf8_text}}; }), "parameters"));
  CHECK(says(said_of_request([](auto& x) { x.tools.resize(201); }), "200"));
  CHECK(says(said_of_request([](auto& x) { x.tool_choice = not_utf8_text; }), "tool choice"));
  CHECK(says(said_of_request([](auto& x) { x.response_schema = not_utf8_text; }), "schema"));
}

TEST_CASE("chunks of streams have limits", "[message_rules]") {
  CHECK(!check_chunk(0, "text"));
  CHECK(check_chunk(0, not_utf8_text) == errc::invalid_input);
  CHECK(check_chunk(0, std::string((size_t{6} << 20U) + 1, 'x')) == errc::invalid_input);
  CHECK(check_chunk(1'000'001, "text") == errc::invalid_input);
}

TEST_CASE("tool calls and first tokens of answers are looked at", "[message_rules]") {
  auto says_of = [](auto change) {
    llm_result answer;
    answer.completions = {{"text", "tool_calls", {{"id", "name", "{}"}}}};
    change(answer);
    return sentence_of(check_answer("llm", caf::make_message(answer)));
  };
  CHECK(says_of([](auto&) {}).empty());
  CHECK(says(
      says_of([](auto& x) { x.completions[0].tool_calls[0].name = not_utf8_text; }), "tool call"));
  CHECK(says(says_of([](auto& x) { x.first_token = caf::timespan{-1}; }), "first token"));
}

TEST_CASE("sizes have limits", "[message_rules]") {
  constexpr auto most = size_t{6} << 20U;
  CHECK(said_of_request([](auto& x) { x.prompts = {std::string(most, 'x')}; }).empty());
  CHECK(says(said_of_request([](auto& x) { x.prompts = {std::string(most + 1, 'x')}; }), "6 MiB"));
  CHECK(says(said_of_request([](auto& x) { x.prompts.assign(2, std::string(most / 2 + 1, 'x')); }),
      "6 MiB"));
  CHECK(said_of_request([](auto& x) { x.prompts.assign(10'000, ""); }).empty());
  CHECK(says(said_of_request([](auto& x) { x.prompts.assign(10'001, ""); }), "10000"));
  CHECK(says(said_of_input(std::vector<std::string>(10'001)), "10000"));
  CHECK(said_of(acquire_atom_v, demand{std::string(1'000, 'k'), 1, false}, call_context{}).empty());
  CHECK(says(said_of(acquire_atom_v, demand{std::string(1'001, 'k'), 1, false}, call_context{}),
      "1000 bytes"));
  call_context context;
  context.tenant = std::string(1'001, 't');
  CHECK(says(said_of(generate_atom_v, llm_request{}, context), "tenant"));
}

TEST_CASE("numbers are finite and in range", "[message_rules]") {
  for (auto wrong : {-0.1, 100.1, infinity, -infinity, no_number})
    CHECK(says(said_of_parameters([=](auto& x) { x.temperature = wrong; }), "temperature"));
  CHECK(said_of_parameters([](auto& x) { x.temperature = 2; }).empty());
  for (auto wrong : {-0.1, 1.1, no_number})
    CHECK(says(said_of_parameters([=](auto& x) { x.top_p = wrong; }), "top_p"));
  CHECK(says(said_of_parameters([](auto& x) { x.max_tokens = -1; }), "max_tokens"));
  CHECK(says(said_of_parameters([](auto& x) { x.n = 1'001; }), "n "));
  CHECK(says(said_of_parameters([](auto& x) { x.best_of = 1'001; }), "best_of"));
  CHECK(says(said_of_parameters([](auto& x) { x.presence_penalty = no_number; }), "presence"));
  CHECK(says(said_of_parameters([](auto& x) { x.frequency_penalty = infinity; }), "frequency"));
  CHECK(says(said_of_input(no_number), "finite"));
  CHECK(said_of_input(1e300).empty());
  CHECK(says(said_of(retrieve_atom_v, retrieval_query{"t", 10'001, {}}, call_context{}), "k "));
  CHECK(says(said_of(lease_atom_v, lease_demand{"k", 100'001, 1}, call_context{}), "permits"));
  CHECK(says(said_of(lease_atom_v, lease_demand{"k", 1, -1}, call_context{}), "tokens"));
  lease_report report;
  report.retry_after = caf::timespan{-1};
  CHECK(says(said_of(settle_atom_v, report), "retry_after"));
  report = {};
  report.limits.emplace().token_limit = -5;
  CHECK(says(said_of(settle_atom_v, report), "limit"));
  report = {};
  report.failed = 100'001;
  CHECK(says(said_of(settle_atom_v, report), "count"));
  permit_report permit;
  permit.tokens = -2;
  CHECK(says(said_of(settle_atom_v, uint64_t{1}, permit), "tokens"));
}

TEST_CASE(
    "mutated messages are read or refused, and cost no more than they should", "[message_rules]") {
  caf::actor_system_config config;
  caf::actor_system system{config};
  auto context = call_context{call_id{1, 2}, {}, "tenant", 3};
  std::vector<caf::message> originals{
      caf::make_message(generate_atom_v, request_with([](llm_request& x) {
        x.messages = {{"system", "be brief"}, {"user", "hello"}};
        x.stop = {"\n"};
        x.parameters.temperature = 0.7;
        x.parameters.extra = {{"logit_bias", "{}"}};
      }),
          context),
      caf::make_message(call_atom_v,
          values{{"a", "text"s}, {"b", 1}, {"c", 2.5}, {"d", true}, {"e", std::vector{"x"s, "y"s}},
              {"f", std::vector{document{"content", {{"source", "here"}}}}}},
          context),
      caf::make_message(lease_atom_v, lease_demand{"key", 3, 100}, context),
      caf::make_message(settle_atom_v, lease_report{}),
      caf::make_message(announce_atom_v, std::vector<service>{}),
      caf::make_message(make_failure(errc::timed_out, "late")),
  };
  std::vector<caf::byte_buffer> wires;
  for (const auto& each : originals) {
    auto sink = compat::writer_to(system, wires.emplace_back());
    REQUIRE(sink.apply(each));
  }
  std::mt19937 random{5};
  auto below = [&random](size_t end) {
    return std::uniform_int_distribution<size_t>{0, end - 1}(random);
  };
  size_t read = 0;
  size_t let_through = 0;
  for (auto i = 0; i < 100'000; ++i) {
    auto bytes = wires[below(wires.size())];
    for (auto n = below(4) + 1; n > 0; --n) {
      auto at = bytes.begin() + static_cast<ptrdiff_t>(below(bytes.size()));
      switch (below(3)) {
      case 0:
        *at = static_cast<caf::byte_buffer::value_type>(below(256));
        break;
      case 1:
        bytes.insert(at, static_cast<caf::byte_buffer::value_type>(below(256)));
        break;
      default:
        if (bytes.size() > 1)
          bytes.erase(at);
      }
    }
    auto source = compat::reader_of(system, bytes);
    caf::message content;
    if (!source.apply(content))
      continue;
    ++read;
    for (auto* kind : {"llm", "chain", "rate_limiter"})
      let_through += check_message(kind, content) ? 0 : 1;
  }
  CHECK(read > 1'000);
  CHECK(let_through > 100);
  CHECK(let_through < read);
}

} // namespace message_rules_test
