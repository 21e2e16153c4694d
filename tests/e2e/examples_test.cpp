// The examples, run as their readers run them.
#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>

namespace examples_test {

using namespace chainmail::test;

namespace {

struct at_simulator {
  simulator_process simulator{{"--latency=200ms"}};

  program_result run(const std::string& name, std::vector<std::string> arguments = {}) {
    auto result = run_program(
        "examples/" + name, std::move(arguments), {{"OPENAI_BASE_URL", simulator.base_url()}});
    UNSCOPED_INFO(result.said());
    CHECK(result.status == 0);
    CHECK(result.err.empty());
    return result;
  }
};

auto lines_of(const std::string& text) {
  return std::ranges::count(text, '\n');
}

/// Completions begin with blank lines.
size_t worded_lines_of(const std::string& text) {
  std::istringstream lines{text};
  size_t result = 0;
  for (std::string line; std::getline(lines, line);)
    result += line.empty() ? 0 : 1;
  return result;
}

double number_after(const std::string& words, const std::string& text) {
  auto at = text.find(words);
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + words.size()));
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("example 01 prints one name") {
  at_simulator here;
  CHECK(worded_lines_of(here.run("01_one_call", {"umbrellas"}).out) == 1);
}

TEST_CASE("example 01 says what is wrong with the endpoint") {
  auto result =
      run_program("examples/01_one_call", {}, {{"OPENAI_BASE_URL", "http://127.0.0.1:1/v1"}});
  CHECK(result.status == 1);
  CHECK(has(result.err, "127.0.0.1:1"));
}

TEST_CASE("example 02 gets five names at once in the time of one") {
  at_simulator here;
  auto out = here.run("02_five_names").out;
  CHECK(worded_lines_of(out) == 12);
  CHECK(number_after("serial: ", out) >= 1);
  CHECK(number_after("concurrent: ", out) < number_after("serial: ", out) / 2);
}

TEST_CASE("example 03 answers inside an actor") {
  at_simulator here;
  auto out = here.run("03_inside_an_actor").out;
  for (const auto* product : {"socks: ", "toothpaste: ", "umbrellas: "})
    CHECK(has(out, product));
}

TEST_CASE("example 04 has a chain of its own between others") {
  at_simulator here;
  auto out = here.run("04_your_own_chain").out;
  CHECK(std::regex_match(out, std::regex{"\\n*.+ at [a-z0-9]+\\.example\n"}));
}

TEST_CASE("example 05 keeps to its rate limit") {
  at_simulator here;
  auto out = here.run("05_shared_rate_limit").out;
  CHECK(has(out, "4 of 4 answered"));
  CHECK(number_after("answered in ", out) >= 0.6); // six that wait for 100 ms each
}

TEST_CASE("example 06 answers from the right document") {
  at_simulator here;
  auto out = here.run("06_questions_over_documents").out;
  CHECK(has(out, "30 days"));
  CHECK(has(out, "from returns.md"));
  CHECK_FALSE(has(out, "from care.md"));
}

TEST_CASE("example 07 gets five names from another node") {
  at_simulator here;
  CHECK(worded_lines_of(here.run("07_remote_chain").out) == 5);
}

TEST_CASE("example 08 tries its provider again, then asks the cache") {
  auto result = run_program("examples/08_your_own_provider", {});
  CHECK(result.status == 0);
  CHECK(has(result.out, "Polly says: hello (attempts: 3)"));
  CHECK(has(result.out, "from the cache"));
}

TEST_CASE("example 09 is a test that passes") {
  auto result = run_program("examples/09_testing_in_virtual_time", {});
  INFO(result.said());
  CHECK(result.status == 0);
  CHECK(lines_of(result.out) == 4);
  CHECK_FALSE(has(result.out, "FAILED"));
  CHECK(result.seconds < 5);
}

TEST_CASE("example 10 has two tools work at the same time, and a third with what they gave") {
  at_simulator here;
  auto out = here.run("10_agent_with_tools").out;
  CHECK(has(out, "population (Oslo): 709037"));
  CHECK(has(out, "area (Oslo): 454"));
  CHECK(has(out, "1561."));
  // "population  ############    0 s + 0.3 s  709037": began within the time that the other took.
  std::smatch found;
  auto line_of = [&](const std::string& name) {
    std::regex line{name + " +#* +([0-9.e-]+) s \\+ ([0-9.e-]+) s"};
    REQUIRE(std::regex_search(out, found, line));
    return std::pair{std::stod(found[1]), std::stod(found[1]) + std::stod(found[2])};
  };
  auto population = line_of("\npopulation");
  auto area = line_of("\narea");
  auto calculator = line_of("\ncalculator");
  CHECK(population.first < area.second);
  CHECK(area.first < population.second);
  CHECK(calculator.first >= std::max(population.second, area.second));
}

TEST_CASE("an example has at most 80 lines") {
  auto examples = 0;
  for (const auto& file :
      std::filesystem::directory_iterator{std::string{CHAINMAIL_SOURCE_DIR} + "/examples"}) {
    if (file.path().extension() != ".cpp")
      continue;
    ++examples;
    INFO(file.path());
    CHECK(lines_of(read_file(file.path())) <= 80);
  }
  CHECK(examples == 10);
}

} // namespace examples_test
