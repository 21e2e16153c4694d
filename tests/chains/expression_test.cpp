#include "chains/expression_table.hpp"
#include "chains/hostile_expressions.hpp"

#include <chainmail/chains/expression.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <locale>
#include <set>
#include <thread>

namespace expression_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

std::string show(std::string_view text) {
  auto result = evaluate_expression(text);
  return result ? show_number(*result) : sentence_of(result.error());
}

bool is_close(double left, double right) {
  return left == right || std::abs(left - right) <= 1e-12 * std::abs(right);
}

struct decimal_comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

bool is_fit_for_a_log(const std::string& sentence) {
  return !sentence.empty() && sentence.size() < 300 &&
         one_line(sentence, sentence.size()) == sentence;
}

} // namespace

TEST_CASE("arithmetic comes to what Python says") {
  std::set<std::string_view> distinct;
  for (const auto& [text, expected] : expression_table) {
    distinct.insert(text);
    auto result = evaluate_expression(text);
    INFO(text);
    INFO((result ? "" : sentence_of(result.error())));
    REQUIRE(result);
    INFO(*result);
    CHECK(is_close(*result, expected));
  }
  CHECK(distinct.size() == expression_table.size());
  CHECK(distinct.size() >= 200);
}

TEST_CASE("whatever is no arithmetic is refused at once, in one harmless sentence") {
  std::set<std::string> distinct;
  for (const auto& text : hostile_expressions()) {
    distinct.insert(text);
    auto fastest = std::chrono::steady_clock::duration::max();
    auto result = evaluate_expression(text);
    for (int attempt = 0; attempt < 3; ++attempt) {
      auto start = std::chrono::steady_clock::now();
      result = evaluate_expression(text);
      fastest = std::min(fastest, std::chrono::steady_clock::now() - start);
    }
    INFO(one_line(text, 100));
    REQUIRE(!result);
    auto sentence = sentence_of(result.error());
    INFO(sentence);
    CHECK(result.error() == errc::invalid_input);
    CHECK(is_fit_for_a_log(sentence));
    CHECK(sentence.find("at character ") != std::string::npos);
    CHECK(sentence.find("cannot be evaluated as it is written") == std::string::npos);
    CHECK(fastest < 10ms);
  }
  CHECK(distinct.size() == hostile_expressions().size());
  CHECK(distinct.size() >= 200);
}

TEST_CASE("what is wrong with an expression is quoted with its position") {
  CHECK(show("1 + foo(2)") == "the expression has a name that is neither a function nor a constant "
                              "known here at character 5: 'foo'");
  CHECK(show("3 + 1/(2 - 2)") == "the expression divides by zero at character 5: '1/(2 - 2)'");
  CHECK(show("2 * sqrt(3 - 4) + 1") ==
        "the expression has a part without a real result at character 5: 'sqrt(3 - 4)'");
  CHECK(show("1 + (-8)**0.5") ==
        "the expression has a part without a real result at character 5: '(-8)**0.5'");
  CHECK(show("(1 + 2") ==
        "the expression has a parenthesis that is never closed at character 1: '(1 + 2'");
  CHECK(show("3 × 4 +") == "the expression ends where a number is missing at character 7: '+'");
  CHECK(
      show(std::string(500, 'x')).ends_with(" at character 1: '" + std::string(40, 'x') + "...'"));
  CHECK(
      show(std::string(1001, '1')) == "the expression has 1001 bytes, more than the 1000 that are "
                                      "read, at character 1: '" +
                                          std::string(40, '1') + "'");
}

TEST_CASE("an integer is exact or refused, also on the way to a small result") {
  CHECK(show("2**53") == "9007199254740992");
  CHECK(show("2**53 - 1") == "9007199254740991");
  for (auto* text : {"2**53 + 1", "(2**60) - (2**60 - 1)", "2**53 * 2 / 4", "94906267 * 94906267",
           "factorial(25) / factorial(24)", "9007199254740993", "0 * 9007199254740993"})
    CHECK(show(text).find("is beyond 2^53, where doubles stop being exact") != std::string::npos);
  CHECK(show("2.0**53 + 1") == "9007199254740992");
  CHECK(show("2.0**54") == "1.8014398509481984e+16");
}

TEST_CASE("the longest and the deepest expression that is read is evaluated in time") {
  auto deep = std::string(64, '(') + "1" + std::string(64, ')');
  CHECK(show(deep) == "1");
  std::string sum = "1";
  while (sum.size() < 999)
    sum += "+1";
  CHECK(show(sum) == "500");
  CHECK(show(std::string(999, '-') + "1") == "-1");
  CHECK(show("max(" + sum.substr(0, 990) + "1)") == "496");
  std::string arguments = "max(1";
  while (arguments.size() < 998)
    arguments += ",1";
  CHECK(show(arguments + ")") == "1");
  for (const auto& text : {deep, sum, arguments + ")"}) {
    auto fastest = std::chrono::steady_clock::duration::max();
    for (int attempt = 0; attempt < 3; ++attempt) {
      auto start = std::chrono::steady_clock::now();
      CHECK(evaluate_expression(text));
      fastest = std::min(fastest, std::chrono::steady_clock::now() - start);
    }
    CHECK(fastest < 10ms);
  }
}

TEST_CASE("numbers are shown as short as they read back") {
  CHECK(show_number(0) == "0");
  CHECK(show_number(-0.0) == "0");
  CHECK(show_number(-3) == "-3");
  CHECK(show_number(100000) == "100000");
  CHECK(show_number(9007199254740992.0) == "9007199254740992");
  CHECK(show_number(9007199254740994.0) == "9.007199254740994e+15");
  CHECK(show_number(-1e22) == "-1e+22");
  CHECK(show_number(0.1) == "0.1");
  CHECK(show_number(0.1 + 0.2) == "0.30000000000000004");
  CHECK(show_number(0.0001) == "0.0001");
  CHECK(show_number(0.00001) == "1e-05");
  CHECK(show_number(1234567.89) == "1234567.89");
  CHECK(show_number(std::numeric_limits<double>::max()) == "1.7976931348623157e+308");
  CHECK(show_number(std::numeric_limits<double>::denorm_min()) == "5e-324");
  CHECK(show_number(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(show_number(std::numeric_limits<double>::quiet_NaN()) == "nan");
}

TEST_CASE("the locale changes neither what is read nor what is shown") {
  auto before = std::locale::global(std::locale{std::locale::classic(), new decimal_comma});
  CHECK(show("1,234.5 + 1000000") == "1001234.5");
  CHECK(show("max(1.5, 2.5)") == "2.5");
  std::locale::global(before);
}

TEST_CASE("threads evaluate side by side, and an error leaves nothing behind") {
  std::vector<std::thread> threads;
  std::vector<int> failures(4);
  for (size_t t = 0; t < failures.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        auto text = std::to_string(t) + " + sqrt(" + std::to_string(i) + " ** 2)";
        if (show(text) != std::to_string(static_cast<int>(t) + i) || evaluate_expression("1/0") ||
            evaluate_expression("(1"))
          ++failures[t];
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(failures == std::vector<int>(4));
}

} // namespace expression_test
