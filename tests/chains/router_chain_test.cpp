#include "support/chain_fixture.hpp"
#include "support/refusal.hpp"
#include "support/scripted_chain.hpp"

#include <chainmail/chains/router_chain.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

namespace router_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  chain_actor says(const char* what, std::vector<std::string> inputs = {"input"}) {
    return spawn_constant_chain(time.system, std::move(inputs), {{"text", what}});
  }

  route_map routes() {
    return {{"physics", {"questions about nature", says("E = mc2")}},
        {"history", {"questions about the past", says("1492")}}};
  }

  /// Routes by the input "to".
  chain_actor spawn_by_input(route_map where, chain_actor fallback = {}) {
    return spawn_router_chain(
        time.system, std::move(where), [](const values& inputs) { return get_text(inputs, "to"); },
        std::move(fallback));
  }

  /// A model that always answers this.
  chain_actor spawn_by_model(const std::string& answer, llm_router_options options = {}) {
    reply = [answer](const std::string&) { return scripted_reply{answer, {}, {}}; };
    return spawn_llm_router_chain(time.system, llm, routes(), std::move(options));
  }

  std::string refusal(route_map where, chain_actor fallback = {}) {
    return refusal_of([&] { spawn_by_input(std::move(where), std::move(fallback)); });
  }

  std::string model_refusal(route_map where) {
    return refusal_of([&] { spawn_llm_router_chain(time.system, llm, std::move(where)); });
  }
};

} // namespace

// -- by a function ----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a router hands its inputs to the route that its function names") {
  auto chain = spawn_by_input({{"echo", {"", asks("{input}")}}, {"fixed", {"", says("1492")}}});
  CHECK(text_of(run(chain, {{"to", "echo"}, {"input", "hi"}}), "text") == "re: hi");
  CHECK(text_of(run(chain, {{"to", "fixed"}, {"input", "hi"}}), "text") == "1492");
}

TEST_CASE_METHOD(fixture, "a router needs what any of its routes needs") {
  auto chain = spawn_by_input({{"p", {"", says("", {"b", "a"})}}, {"q", {"", says("", {"c"})}}});
  CHECK(description_of(chain).input_keys == std::vector{"a"s, "b"s, "c"s});
  CHECK(description_of(chain).output_keys == std::vector{"text"s});
}

TEST_CASE_METHOD(fixture, "a function's unknown route goes to the fallback, or is named") {
  values inputs{{"to", "cooking"}, {"input", "x"}};
  CHECK(text_of(run(spawn_by_input(routes(), says("I pass")), inputs), "text") == "I pass");
  auto got = run(spawn_by_input(routes()), inputs);
  CHECK(got.error == errc::invalid_input);
  CHECK(sentence_of(got.error) == "the router has no route 'cooking' and no fallback");
}

TEST_CASE_METHOD(fixture, "an error of the router's function ends the call") {
  auto chain = spawn_by_input(routes());
  CHECK(run(chain, {{"input", "x"}}).error == errc::missing_input);
  auto thrower = spawn_router_chain(time.system, routes(),
      [](const values&) -> caf::expected<std::string> { throw std::runtime_error{"no luck"}; });
  CHECK(run(thrower, {{"input", "x"}}).error == errc::internal);
}

TEST_CASE_METHOD(fixture, "routes and fallback must give the same outputs") {
  auto other = spawn_constant_chain(time.system, {}, {{"answer", 1}});
  auto where = routes();
  where["poetry"] = {"", other};
  CHECK(
      refusal(where) == "the route 'poetry' gives 'answer', but the routes before it give 'text'");
  CHECK(refusal(routes(), other) ==
        "the fallback of the router gives 'answer', but the routes before it give 'text'");
  CHECK(refusal({}) == "a router needs at least one route");
  CHECK(refusal({{"p", {}}}) == "the route 'p' needs a valid chain handle");
  CHECK(refusal_of([&] { spawn_router_chain(time.system, routes(), {}); }) ==
        "a router chain needs a function");
}

// -- by a model -------------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a model reads the candidates and the input, and names the route") {
  auto chain = spawn_by_model("\n history\n");
  CHECK(text_of(run(chain, {{"input", "When was that?"}}), "text") == "1492");
  REQUIRE(prompts.size() == 1);
  CHECK(prompts[0].ends_with("\n<< CANDIDATES >>\nhistory: questions about the past\n"
                             "physics: questions about nature\n<< INPUT >>\nWhen was that?\n"
                             "<< OUTPUT >>"));
  CHECK(prompts[0].find("DEFAULT") == std::string::npos);
}

TEST_CASE_METHOD(fixture, "a model is offered DEFAULT when there is a fallback, and may take it") {
  llm_router_options options;
  options.fallback = says("I pass");
  auto chain = spawn_by_model("DEFAULT", options);
  CHECK(text_of(run(chain, {{"input", "x"}}), "text") == "I pass");
  CHECK(prompts.at(0).find("or with DEFAULT when none") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "a model's unknown route goes to the fallback, or is named and cut") {
  llm_router_options options;
  options.fallback = says("I pass");
  CHECK(text_of(run(spawn_by_model("cooking", options), {{"input", "x"}}), "text") == "I pass");
  auto got = run(spawn_by_model("cooking"), {{"input", "x"}});
  CHECK(got.error == errc::malformed_response);
  CHECK(sentence_of(got.error) == "the router has no route 'cooking' and no fallback");
  auto chatty = run(spawn_by_model(std::string(100'000, 'x')), {{"input", "x"}});
  CHECK(chatty.error == errc::malformed_response);
  CHECK(sentence_of(chatty.error).size() < 200);
}

TEST_CASE_METHOD(fixture, "the model's input and parameters can be chosen") {
  llm_router_options options;
  options.input_key = "question";
  options.parameters.temperature = 0;
  auto chain = spawn_by_model("physics", options);
  CHECK(description_of(chain).input_keys == std::vector{"input"s, "question"s});
  CHECK(text_of(run(chain, {{"input", "x"}, {"question", 42}}), "text") == "E = mc2");
  CHECK(prompts.at(0).find("<< INPUT >>\n42\n") != std::string::npos);
  CHECK(requests.at(0).parameters.temperature == 0);
}

TEST_CASE_METHOD(fixture, "an input that no model can read is refused before the model is asked") {
  auto chain = spawn_by_model("physics");
  CHECK(run(chain, {{"input", std::vector<std::string>{"a"}}}).error == errc::invalid_input);
  CHECK(prompts.empty());
}

TEST_CASE_METHOD(fixture, "an error of the model ends the call") {
  auto chain = spawn_by_model("physics");
  reply = [](const std::string&) {
    return scripted_reply{{}, make_failure(errc::rate_limited, "slow down"), {}};
  };
  CHECK(run(chain, {{"input", "x"}}).error == errc::rate_limited);
}

TEST_CASE_METHOD(fixture, "routes that a model could not choose by name are refused") {
  auto chain = says("x");
  for (const auto* name : {"", "DEFAULT", " x", "a\nb"})
    CHECK(model_refusal({{name, {"", chain}}}).find("a name that a model cannot choose") !=
          std::string::npos);
  CHECK(model_refusal({{"p", {"a\nb", chain}}}) ==
        "the route 'p' has a description of several lines");
  CHECK(refusal_of([&] { spawn_llm_router_chain(time.system, {}, routes()); }) ==
        "an LLM router chain needs a valid LLM actor");
}

} // namespace router_chain_test
