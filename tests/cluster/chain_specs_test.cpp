#include <chainmail/caf/virtual_time.hpp>
#include <chainmail/cluster/chain_specs.hpp>
#include <chainmail/errors.hpp>

#include <catch2/catch_test_macros.hpp>

#include <support/fake_llm.hpp>

namespace chain_specs_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

struct specs : virtual_time {
  std::shared_ptr<fake_llm_script> script = std::make_shared<fake_llm_script>();
  llm_actor llm = spawn_fake_llm(system, script);

  std::string refusal(const chain_spec& spec) {
    auto chain = spawn_chain(system, spec, llm);
    if (chain)
      return "accepted";
    CHECK(code_of(chain.error()) == errc::invalid_input);
    return sentence_of(chain.error());
  }
};

} // namespace

TEST_CASE("a chain in words is the chain", "[chain_specs]") {
  specs with;
  auto chain = spawn_chain(with.system,
      {"llm_chain", {{"template", "A name for {product}?"}, {"output_key", "name"}}}, with.llm);
  REQUIRE(chain);
  auto reply = ask<values>(
      with, *chain, call_atom_v, values{{"product", std::string{"socks"}}}, with.context());
  with.settle();
  REQUIRE(reply->result);
  CHECK(std::get<std::string>(reply->result->at("name")) == "fine");
  CHECK(with.script->calls.front().request.prompts.front() == "A name for socks?");
}

TEST_CASE("every kind of spec can be spawned", "[chain_specs]") {
  specs with;
  CHECK(with.refusal({"llm_math_chain", {}}) == "accepted");
  for (auto* type : {"stuff", "map_reduce", "refine", "map_rerank"}) {
    CHECK(with.refusal({"qa_chain", {{"type", type}}}) == "accepted");
    CHECK(with.refusal({"qa_with_sources_chain", {{"type", type}}}) == "accepted");
  }
  for (auto* type : {"stuff", "map_reduce", "refine"})
    CHECK(with.refusal({"summarize_chain", {{"type", type}}}) == "accepted");
}

TEST_CASE("what cannot be spawned is refused with a sentence", "[chain_specs]") {
  specs with;
  CHECK(with.refusal({"robot", {}}).find("of no kind") != std::string::npos);
  CHECK(with.refusal({"llm_chain", {}}).find("'template'") != std::string::npos);
  CHECK(with.refusal({"llm_chain", {{"template", "{"}}}) != "accepted");
  CHECK(with.refusal({"llm_chain", {{"template", "x"}, {"colour", "red"}}}).find("'colour'") !=
        std::string::npos);
  CHECK(with.refusal({"llm_chain", {{"template", "\xff"}}}) != "accepted");
  CHECK(with.refusal({"llm_chain", {{"template", std::string(200'000, 'x')}}}) != "accepted");
  CHECK(with.refusal({"qa_chain", {{"type", "guess"}}}).find("map_rerank") != std::string::npos);
  CHECK(with.refusal({"summarize_chain", {{"type", "map_rerank"}}}) != "accepted");
}

} // namespace chain_specs_test
