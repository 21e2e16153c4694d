// The lines of failed calls.
#include "support/temporary_folder.hpp"

#include <chainmail/caf/log.hpp>
#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <functional>
#include <sstream>

namespace log_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

using Catch::Matchers::ContainsSubstring;

namespace {

/// The lines that a system logs while `what` runs in it, without CAF's own.
std::vector<std::string> logged(
    const std::function<void(caf::scoped_actor&)>& what, const char* verbosity = "error") {
  temporary_folder folder;
  {
    caf::actor_system_config options;
    options.set("caf.logger.file.path", folder.path("log"));
    options.set("caf.logger.file.verbosity", verbosity);
    options.set("caf.logger.file.format", "%c %p %m%n");
    caf::actor_system system{options};
    caf::scoped_actor self{system};
    what(self);
  }
  std::vector<std::string> result;
  std::istringstream lines{read_file(folder.path("log"))};
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("chainmail "))
      result.push_back(line);
  return result;
}

llm_actor failing(caf::actor_system& system, std::string sentence, errc code = errc::bad_request) {
  return spawn_scripted_llm(system, [code, sentence = std::move(sentence)](const llm_request&) {
    return scripted_reply{{}, make_failure(code, sentence), {}};
  });
}

llm_actor guarded(caf::actor_system& system, llm_actor llm) {
  guard_target target;
  target.llm = std::move(llm);
  target.name = "scripted";
  return spawn_guarded(system, {target});
}

constexpr const char* prompt = "What about {product}?";
const values inputs{{"product", "toothpaste"}};

} // namespace

TEST_CASE("a failed call has one line, whatever it came through, and a successful one none") {
  auto lines = logged([](caf::scoped_actor& self) {
    auto& system = self->system();
    auto chain = spawn_llm_chain(system, guarded(system, failing(system, "said no")), prompt);
    auto outer = spawn_sequential_chain(system, {chain});
    auto outcomes = gather(self, outer, std::vector<values>{inputs});
    REQUIRE(outcomes);
    CHECK_FALSE(outcomes->front().ok());
    auto fine = guarded(system, spawn_scripted_llm(system, {{"fine", {}, {}}}));
    CHECK(call(self, spawn_llm_chain(system, fine, prompt), inputs));
  });
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring("ERROR"));
  CHECK_THAT(lines[0], ContainsSubstring(" actor=guard code=bad_request took=0."));
  CHECK_THAT(lines[0], ContainsSubstring("said no"));
  CHECK_THAT(lines[0], !ContainsSubstring("toothpaste"));
}

TEST_CASE("each of many failed calls has its own line, with its own ID") {
  auto lines = logged([](caf::scoped_actor& self) {
    auto& system = self->system();
    auto chain = spawn_llm_chain(system, guarded(system, failing(system, "no")), prompt);
    REQUIRE(gather(self, chain, std::vector<values>(20, inputs)));
  });
  CHECK(lines.size() == 20);
  std::ranges::sort(lines);
  CHECK(std::ranges::adjacent_find(lines) == lines.end());
}

TEST_CASE("a chain logs what failed in it, and what an LLM without a guard answered") {
  auto lines = logged([](caf::scoped_actor& self) {
    auto& system = self->system();
    auto chain = spawn_llm_chain(system, failing(system, "bare no"), prompt);
    CHECK_FALSE(call(self, chain, inputs));
    CHECK_FALSE(call(self, chain, {}));
  });
  REQUIRE(lines.size() == 2);
  CHECK_THAT(lines[0], ContainsSubstring("actor=llm_chain code=bad_request"));
  CHECK_THAT(lines[0], ContainsSubstring("bare no"));
  CHECK_THAT(lines[1], ContainsSubstring("actor=llm_chain code=missing_input"));
}

TEST_CASE("a gather logs the failures of chains that do not") {
  auto lines = logged([](caf::scoped_actor& self) {
    auto own = self->system().spawn([]() -> chain_actor::behavior_type {
      auto no = make_failure(errc::unavailable, "not today");
      return {
          [no](call_atom, const values&, const call_context&) -> caf::result<values> { return no; },
          [no](stream_atom, const values&, const sink_actor&,
              const call_context&) -> caf::result<values> { return no; },
          [](describe_atom) { return chain_description{}; },
          [](cancel_atom, const call_id&) {},
      };
    });
    REQUIRE(gather(self, own, std::vector<values>{inputs}));
  });
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring("actor=gather code=unavailable"));
}

TEST_CASE("a call that its caller gave up is no error, but information") {
  auto cancels = [](caf::scoped_actor& self) {
    log_failure(self->system(), "guard", {1, 2}, 1500ms, make_failure(errc::cancelled, "given up"));
  };
  CHECK(logged(cancels).empty());
  auto lines = logged(cancels, "info");
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring("INFO call=0000000000000001-0000000000000002 actor=guard "
                                         "code=cancelled took=1.500s: given up"));
}

TEST_CASE("a line is a line, however long the sentence is and whatever it holds") {
  auto lines = logged([](caf::scoped_actor& self) {
    log_failure(self->system(), "guard", {}, {},
        make_failure(errc::server_error, "one\ntwo\r\x1b[31m {} %s" + std::string(10'000, 'x')));
  });
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], ContainsSubstring("one two  [31m {} %sxxx"));
  CHECK(lines[0].size() < 700);
}

TEST_CASE("a log that nobody opened has no line") {
  CHECK(logged(
      [](caf::scoped_actor& self) {
        log_failure(self->system(), "guard", {}, {}, make_failure(errc::server_error, "hidden"));
      },
      "quiet")
            .empty());
}

} // namespace log_test
