#include <chainmail/errors.hpp>
#include <chainmail/http/curl_errors.hpp>
#include <chainmail/http/http_options.hpp>
#include <chainmail/http/resolve_gate.hpp>
#include <chainmail/http/retry_after.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <ctime>

namespace parts_test {

using namespace chainmail;
using namespace std::literals;

namespace {

http_response with_header(std::string name, std::string text) {
  http_response result;
  result.headers.push_back({std::move(name), std::move(text)});
  return result;
}

std::optional<caf::timespan> read(std::string text) {
  // Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples
  auto now = std::chrono::system_clock::from_time_t(784111777);
  return retry_after(with_header("retry-after", std::move(text)), now);
}

} // namespace

TEST_CASE("Retry-After is read in seconds and as an HTTP date") {
  CHECK(read("2") == caf::timespan{2s});
  CHECK(read("0") == caf::timespan{0s});
  CHECK(read("1.5") == caf::timespan{1500ms});
  CHECK(read("Sun, 06 Nov 1994 08:49:47 GMT") == caf::timespan{10s});
  CHECK(read("Sunday, 06-Nov-94 08:49:47 GMT") == caf::timespan{10s});
  CHECK(read("Sun Nov  6 08:49:47 1994") == caf::timespan{10s});
}

TEST_CASE("a Retry-After in the past means now, and one far off at most a day") {
  CHECK(read("Sun, 06 Nov 1994 08:49:00 GMT") == caf::timespan{0s});
  CHECK(read("99999999999") == caf::timespan{24h});
  CHECK(read("1e300") == caf::timespan{24h});
}

TEST_CASE("a Retry-After that cannot be read is none") {
  for (auto* text : {"", "soon", "-3", "nan", "2 s", "0x10"})
    CHECK_FALSE(read(text));
  CHECK_FALSE(retry_after(http_response{}, std::chrono::system_clock::now()));
}

TEST_CASE("retry-after-ms goes before retry-after") {
  auto response = with_header("retry-after-ms", "250");
  response.headers.push_back({"retry-after", "9"});
  CHECK(retry_after(response, std::chrono::system_clock::now()) == caf::timespan{250ms});
}

TEST_CASE("an endpoint in an error has neither user information nor a query") {
  CHECK(endpoint_of("http://host:80/v1?key=sk#x") == "http://host:80/v1");
  CHECK(endpoint_of("https://user:pw@host/v1") == "https://host/v1");
  CHECK(endpoint_of("https://host/a@b") == "https://host/a@b");
  CHECK(endpoint_of("nonsense?x") == "nonsense");
}

TEST_CASE("origins are cut out of URLs") {
  CHECK(origin_of("http://host:80/v1/x") == "http://host:80");
  CHECK(origin_of("https://host") == "https://host");
  CHECK(origin_of("https://host?x=/") == "https://host");
}

TEST_CASE("only names need a resolver") {
  for (auto* origin :
      {"http://127.0.0.1:80", "http://[::1]:80", "https://localhost", "http://a.localhost:1"})
    CHECK(needs_no_resolver(origin));
  for (auto* origin : {"https://api.openai.com", "http://127.0.0.1.nip.io", "http://localhosts"})
    CHECK_FALSE(needs_no_resolver(origin));
}

TEST_CASE("libcurl's results become the right codes, each with the endpoint") {
  struct expectation {
    CURLcode result;
    errc code;
  };
  for (auto [result, code] :
      std::initializer_list<expectation>{{CURLE_COULDNT_RESOLVE_HOST, errc::connection_failed},
          {CURLE_COULDNT_CONNECT, errc::connection_failed},
          {CURLE_OPERATION_TIMEDOUT, errc::connection_failed},
          {CURLE_PEER_FAILED_VERIFICATION, errc::connection_failed},
          {CURLE_SSL_CONNECT_ERROR, errc::connection_failed},
          {CURLE_GOT_NOTHING, errc::connection_failed}, {CURLE_RECV_ERROR, errc::connection_failed},
          {CURLE_URL_MALFORMAT, errc::invalid_input},
          {CURLE_WEIRD_SERVER_REPLY, errc::malformed_response},
          {CURLE_BAD_CONTENT_ENCODING, errc::malformed_response},
          {CURLE_FILESIZE_EXCEEDED, errc::response_too_large}}) {
    failed_exchange failed;
    failed.result = result;
    failed.method = "POST";
    failed.url = "http://host/v1?secret=1";
    auto error = to_failure(failed);
    CAPTURE(result);
    CHECK(error == code);
    CHECK(sentence_of(error).find("POST http://host/v1") != std::string::npos);
    CHECK(sentence_of(error).find("secret") == std::string::npos);
  }
}

TEST_CASE("a connection that breaks after the head has arrived is a malformed response") {
  failed_exchange failed;
  failed.result = CURLE_RECV_ERROR;
  failed.status = 200;
  failed.received = 17;
  auto error = to_failure(failed);
  CHECK(error == errc::malformed_response);
  CHECK(sentence_of(error).find("17 bytes") != std::string::npos);
}

TEST_CASE("running out of file descriptors is said in so many words") {
  failed_exchange failed;
  failed.result = CURLE_COULDNT_CONNECT;
  failed.os_error = EMFILE;
  CHECK(sentence_of(to_failure(failed)).find("ulimit -n") != std::string::npos);
}

TEST_CASE("HTTP options that cannot work are refused with the field's name") {
  auto problem = [](auto change) {
    http_options options;
    change(options);
    return sentence_of(check(options));
  };
  CHECK(check(http_options{}) == caf::error{});
  CHECK(problem([](auto& o) { o.workers = 65; }).find("workers") != std::string::npos);
  CHECK(
      problem([](auto& o) { o.max_in_flight = 100'000'000; }).find("ulimit") != std::string::npos);
  CHECK(problem([](auto& o) {
    o.workers = 4;
    o.max_in_flight = 3;
  }).find("max_in_flight") != std::string::npos);
  CHECK(problem([](auto& o) { o.connect_timeout = 0s; }) != "");
  CHECK(problem([](auto& o) { o.max_response_bytes = 0; }) != "");
  CHECK(problem([](auto& o) { o.ca_file = "/no/such/file"; }).find("/no/such/file") !=
        std::string::npos);
}

} // namespace parts_test
