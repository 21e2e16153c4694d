#include "support/chain_fixture.hpp"
#include "support/refusal.hpp"

#include <chainmail/chains/transform_chain.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <stdexcept>

namespace transform_chain_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

struct fixture : chain_fixture {
  chain_actor gives(caf::expected<values> made) {
    return spawn_transform_chain(
        time.system, {}, {"x", "y"}, [made = std::move(made)](const values&) { return made; });
  }
};

} // namespace

TEST_CASE_METHOD(fixture, "a transform chain answers with what its function makes of all inputs") {
  auto chain = spawn_transform_chain(
      time.system, {"a"}, {"size"}, [](const values& inputs) -> caf::expected<values> {
        return values{{"size", static_cast<int64_t>(inputs.size())}};
      });
  CHECK(run(chain, {{"a", 1}, {"extra", 2}}).result == values{{"size", 2}});
  CHECK(run(chain, {{"extra", 2}}).error == errc::missing_input);
  CHECK(description_of(chain).input_keys == std::vector{"a"s});
}

TEST_CASE_METHOD(fixture, "a transform's outputs must equal the declared ones") {
  CHECK(run(gives(values{{"x", 1}, {"y", 1}}), {}).result);
  auto fewer = run(gives(values{{"x", 1}}), {});
  CHECK(fewer.error == errc::internal);
  CHECK(sentence_of(fewer.error) == "the transform gives 'x' where 'x', 'y' is declared");
  auto more = run(gives(values{{"x", 1}, {"y", 1}, {"z", 1}}), {});
  CHECK(more.error == errc::internal);
  CHECK(sentence_of(run(gives(values{}), {}).error) ==
        "the transform gives nothing where 'x', 'y' is declared");
}

TEST_CASE_METHOD(fixture, "a transform's own errors come back as they are, CAF's as chainmail's") {
  CHECK(run(gives(make_failure(errc::invalid_input, "no such day")), {}).error ==
        make_failure(errc::invalid_input, "no such day"));
  CHECK(run(gives(caf::make_error(caf::sec::runtime_error)), {}).error == errc::internal);
}

TEST_CASE_METHOD(fixture, "a transform that throws is an error, and the chain lives on") {
  auto chain = spawn_transform_chain(
      time.system, {}, {"x"}, [](const values& inputs) -> caf::expected<values> {
        return values{{"x", inputs.at("must be there")}};
      });
  auto got = run(chain, {});
  CHECK(got.error == errc::internal);
  CHECK(sentence_of(got.error).starts_with("the chain failed: "));
  CHECK(run(chain, {{"must be there", 1}}).result == values{{"x", 1}});
}

TEST_CASE_METHOD(fixture, "a transform chain without a function is refused") {
  CHECK(refusal_of([&] { spawn_transform_chain(time.system, {}, {"x"}, {}); }) ==
        "a transform chain needs a function");
}

} // namespace transform_chain_test
