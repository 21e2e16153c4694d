#include <chainmail/messages.hpp>

#include <caf/exit_reason.hpp>
#include <caf/expected.hpp>
#include <caf/sec.hpp>
#include <catch2/catch_test_macros.hpp>

namespace errors_test {

using namespace chainmail;
using namespace std::literals;

TEST_CASE("every error code has a name of its own that reads back") {
  std::set<std::string> names;
  for (uint8_t i = 0; i <= static_cast<uint8_t>(errc::unavailable); ++i) {
    auto code = errc::none;
    REQUIRE(from_integer(i, code));
    CHECK(static_cast<uint8_t>(code) == i);
    auto name = to_string(code);
    names.insert(name);
    auto back = errc::none;
    CHECK(from_string(std::string_view{name}, back));
    CHECK(back == code);
  }
  CHECK(names.size() == static_cast<size_t>(errc::unavailable) + 1);
  auto code = errc::none;
  CHECK_FALSE(from_integer(static_cast<uint8_t>(errc::unavailable) + 1, code));
  CHECK_FALSE(from_string(std::string_view{"no_such_code"}, code));
}

TEST_CASE("an error gives back its code, its sentence and its detail") {
  auto error =
      make_failure(errc::rate_limited, "slow down", {429, "http://host/v1", caf::timespan{2s}});
  CHECK(error == errc::rate_limited);
  CHECK(code_of(error) == errc::rate_limited);
  CHECK(sentence_of(error) == "slow down");
  CHECK(describe(error) == "rate_limited: slow down");
  auto detail = detail_of(error);
  REQUIRE(detail);
  CHECK(detail->http_status == 429);
  CHECK(detail->endpoint == "http://host/v1");
  CHECK(detail->retry_after == caf::timespan{2s});
}

TEST_CASE("an error without a detail says so") {
  CHECK_FALSE(detail_of(make_failure(errc::internal, "x")));
  CHECK_FALSE(detail_of(caf::make_error(caf::sec::runtime_error)));
  CHECK(code_of(caf::error{}) == errc::none);
  CHECK(sentence_of(caf::error{}).empty());
}

TEST_CASE("CAF's errors about dead receivers become shut_down with the receiver's name") {
  for (auto code : {caf::sec::request_receiver_down, caf::sec::broken_promise}) {
    auto error = to_failure(caf::make_error(code), "the LLM");
    CHECK(error == errc::shut_down);
    CHECK(sentence_of(error).find("the LLM") != std::string::npos);
  }
  CHECK(to_failure(caf::make_error(caf::exit_reason::kill), "it") == errc::shut_down);
  CHECK(to_failure(caf::make_error(caf::sec::request_timeout), "it") == errc::timed_out);
  CHECK(to_failure(caf::make_error(caf::sec::runtime_error), "it") == errc::internal);
}

TEST_CASE("chainmail's own errors are left as they are") {
  auto error = to_failure(make_failure(errc::cancelled, "given up"), "the LLM");
  CHECK(error == errc::cancelled);
  CHECK(sentence_of(error) == "given up");
  CHECK_FALSE(to_failure(caf::error{}, "the LLM"));
}

TEST_CASE("text values are found, and what is missing or no text is named") {
  values from{{"name", "x"}, {"count", 3}};
  REQUIRE(find_text(from, "name") != nullptr);
  CHECK(*find_text(from, "name") == "x");
  CHECK(find_text(from, "count") == nullptr);
  CHECK(get_text(from, "name") == "x");
  CHECK(get_text(from, "other").error() == errc::missing_input);
  CHECK(get_text(from, "count").error() == errc::invalid_input);
}

TEST_CASE("numbers and flags read as a person would write them") {
  std::string text;
  for (const value& x : std::vector<value>{3, 0.5, 1e21, true, -7, "t"}) {
    CHECK(append_text(text, x));
    text += ' ';
  }
  CHECK(text == "3 0.5 1e+21 true -7 t ");
  CHECK_FALSE(append_text(text, std::vector<std::string>{"x"}));
  CHECK_FALSE(append_text(text, std::vector<document>{}));
}

} // namespace errors_test
