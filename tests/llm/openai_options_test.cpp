#include <chainmail/errors.hpp>
#include <chainmail/llm/openai_options.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdlib>

namespace openai_options_test {

using namespace chainmail;

namespace {

std::string problem_with_url(std::string url) {
  openai_options options;
  options.base_url = std::move(url);
  return sentence_of(check(options));
}

} // namespace

TEST_CASE("the default endpoint is valid, and so are local and Azure-style ones") {
  CHECK_FALSE(check(openai_options{}));
  CHECK(problem_with_url("http://127.0.0.1:8080/v1").empty());
  CHECK(problem_with_url("https://x.openai.azure.com/openai/deployments/gpt").empty());
}

TEST_CASE("a base URL that can never work is refused with the reason") {
  CHECK(problem_with_url("api.openai.com").find("http://") != std::string::npos);
  CHECK(problem_with_url("ftp://host/v1").find("http://") != std::string::npos);
  CHECK(problem_with_url("http://").find("host") != std::string::npos);
  CHECK(problem_with_url("http:///v1").find("host") != std::string::npos);
  CHECK(problem_with_url("http://me:pw@host/v1").find("password") != std::string::npos);
  CHECK(problem_with_url("http://host/v1?a=b").find("query") != std::string::npos);
  CHECK(problem_with_url("http://host/v 1").find("space") != std::string::npos);
}

TEST_CASE("a refused base URL does not show its password") {
  CHECK(problem_with_url("http://me:hunter2@host/v1").find("hunter2") == std::string::npos);
}

TEST_CASE("keys and headers cannot smuggle a line break") {
  openai_options options;
  options.key = api_key{"sk-1\r\nX-Evil: 1"};
  auto error = check(options);
  CHECK(error == errc::invalid_input);
  CHECK(sentence_of(error).find("sk-1") == std::string::npos);
  options = {};
  options.extra_headers.push_back({"X-A", "1\n2"});
  CHECK(check(options) == errc::invalid_input);
  options.extra_headers = {{"X A", "1"}};
  CHECK(check(options) == errc::invalid_input);
  options.extra_headers = {{"X-A", "1"}};
  CHECK_FALSE(check(options));
}

TEST_CASE("the times of streams are not negative") {
  openai_options options;
  options.first_token_timeout = std::chrono::seconds{-1};
  CHECK(sentence_of(check(options)).find("first_token_timeout") != std::string::npos);
  options = {};
  options.idle_timeout = std::chrono::seconds{-1};
  CHECK(sentence_of(check(options)).find("idle_timeout") != std::string::npos);
  options.idle_timeout = std::chrono::seconds{0};
  CHECK_FALSE(check(options));
}

TEST_CASE("the environment gives key and base URL, and empty variables count as unset") {
  setenv("OPENAI_API_KEY", "sk-env", 1);
  setenv("OPENAI_BASE_URL", "", 1);
  setenv("OPENAI_ORG_ID", "org-1", 1);
  auto options = openai_options::from_environment();
  unsetenv("OPENAI_API_KEY");
  unsetenv("OPENAI_BASE_URL");
  unsetenv("OPENAI_ORG_ID");
  CHECK(options.key.reveal() == "sk-env");
  CHECK(options.base_url == openai_options{}.base_url);
  CHECK(options.organization == "org-1");
  CHECK(openai_options::from_environment().key.empty());
}

} // namespace openai_options_test
