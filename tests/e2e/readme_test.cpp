#include "e2e/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>

namespace readme_test {

using namespace chainmail::test;

TEST_CASE("the README's program prints five answers, or five reasons") {
  simulator_process simulator{{}};
  auto result = run_program("chainmail-readme", {}, {{"OPENAI_BASE_URL", simulator.base_url()}});
  INFO(result.said());
  CHECK(result.status == 0);
  auto names = std::count_if(result.out.begin(), result.out.end(), [last = '\n'](char c) mutable {
    auto starts_line = last == '\n' && c != '\n';
    last = c;
    return starts_line;
  });
  CHECK(names == 5);
  auto refused =
      run_program("chainmail-readme", {}, {{"OPENAI_BASE_URL", "http://127.0.0.1:1/v1"}});
  CHECK(refused.status == 0);
  CHECK(refused.out.find("connection_failed") != std::string::npos);
}

} // namespace readme_test
