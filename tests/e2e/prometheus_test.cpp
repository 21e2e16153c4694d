// A real Prometheus scrapes CAF's endpoint, and answers queries for chainmail's metrics.
#include "e2e/program.hpp"

#include <chainmail/chainmail.hpp>

#include <caf/actor_system.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <catch2/catch_test_macros.hpp>
#include <rapidjson/document.h>

#include <filesystem>
#include <support/tcp_socket.hpp>
#include <thread>

namespace prometheus_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr const char* prometheus = "/usr/bin/prometheus";

constexpr const char* secret = "sk-0123456789-never-to-be-seen";

/// Free a moment ago.
std::string free_port() {
  return std::to_string(tcp_socket::listening("127.0.0.1").port());
}

std::string encoded(const std::string& text) {
  std::string result;
  for (auto c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
    result += hex;
  }
  return result;
}

/// The body of a response; empty when nobody listens.
std::string http_get(const std::string& port, const std::string& path) {
  try {
    auto line = tcp_socket::connected("127.0.0.1", static_cast<uint16_t>(std::stoi(port)));
    line.send("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    std::string all;
    for (auto part = line.receive(); part && !part->empty(); part = line.receive())
      all += *part;
    auto head_end = all.find("\r\n\r\n");
    return head_end == std::string::npos ? "" : all.substr(head_end + 4);
  } catch (const std::system_error&) {
    return {};
  }
}

/// With its endpoint on a port that the system chose.
struct watched_config : caf::actor_system_config {
  watched_config() {
    caf::io::middleman::init_global_meta_objects();
    load<caf::io::middleman>();
    set("caf.middleman.prometheus-http.port", uint16_t{0});
    set("caf.middleman.prometheus-http.address", "127.0.0.1"s);
  }
};

class prometheus_server {
public:
  explicit prometheus_server(const std::string& targets)
    : program_(prometheus,
          {"--config.file=" + configuration(targets), "--storage.tsdb.path=" + folder_.path("data"),
              "--web.listen-address=127.0.0.1:" + port_}) {}

  /// The only value that a query gives; nothing as long as there is none.
  std::optional<double> query(const std::string& text) const {
    rapidjson::Document answer;
    answer.Parse(http_get(port_, "/api/v1/query?query=" + encoded(text)).c_str());
    if (!answer.IsObject() || !answer.HasMember("data"))
      return std::nullopt;
    const auto& found = answer["data"]["result"];
    if (!found.IsArray() || found.Size() != 1)
      return std::nullopt;
    return std::stod(found[0]["value"][1].GetString());
  }

  /// Asks until the answer is that; the result is the last one.
  std::optional<double> wait_for(const std::string& text, double wanted) const {
    std::optional<double> result;
    for (auto i = 0; i < 150 && result != wanted; ++i) {
      if (i > 0)
        std::this_thread::sleep_for(100ms); // until the next scrape
      result = query(text);
    }
    return result;
  }

private:
  std::string configuration(const std::string& targets) {
    auto path = folder_.path("prometheus.yml");
    write_file(path, "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: chainmail\n"
                     "    static_configs:\n      - targets: [" +
                         targets + "]\n");
    return path;
  }

  temporary_folder folder_;
  std::string port_ = free_port();
  background_program program_;
};

} // namespace

TEST_CASE("Prometheus scrapes an application and a node, and answers queries") {
  if (!std::filesystem::exists(prometheus))
    SKIP("Prometheus is not installed: apt-get install prometheus");
  simulator_process simulator{{"--latency=80ms", "--script=ok,ok,503,ok,ok,ok,503,503"}};
  watched_config options;
  caf::actor_system system{options};
  auto port = std::to_string(system.middleman().prometheus_scraping_port());
  auto node_port = free_port();
  background_program node{
      "chainmail-node", {"--role=worker", "--simulate", "--listen=127.0.0.1:0",
                            "--caf.middleman.prometheus-http.port=" + node_port,
                            "--caf.middleman.prometheus-http.address=127.0.0.1"}};
  node.wait_for_line("ready");
  prometheus_server server{"'127.0.0.1:" + port + "', '127.0.0.1:" + node_port + "'"};
  auto http = spawn_http(system);
  llm_config config;
  config.endpoint = openai_options{};
  config.endpoint.base_url = simulator.base_url();
  config.endpoint.key = api_key{secret};
  config.endpoint.defaults.model = "test-model";
  config.retry.max_attempts = 2;
  config.prices["test-model"] = {1, 1'000'000};
  {
    caf::scoped_actor self{system};
    auto namer = spawn_llm_chain(
        system, spawn_llm(system, http, config), "A name for a maker of {product}?");
    for (auto i = 0; i < 6; ++i) {
      auto answer = call(self, namer, {{"product", "toothpaste"}});
      INFO((answer ? "" : describe(answer.error())));
      CHECK(static_cast<bool>(answer) == (i < 5)); // the last fails twice
    }
  }
  CHECK(server.wait_for("sum(chainmail_llm_calls_total{model=\"test-model\"})", 6) == 6);
  CHECK(server.wait_for("chainmail_llm_errors_total{code=\"server_error\"}", 1) == 1);
  CHECK(server.query("chainmail_llm_retries_total") == 2);
  CHECK(server.query("sum(chainmail_http_requests_total{status=\"2xx\"})") == 5);
  CHECK(server.query("sum(chainmail_http_requests_total{status=\"5xx\"})") == 3);
  CHECK(server.query("chainmail_chain_calls_total{kind=\"llm\"}") == 6);
  CHECK(server.query("sum(chainmail_llm_in_flight)") == 0);
  auto median = server.query("histogram_quantile(0.5, chainmail_http_first_byte_seconds_bucket"
                             "{instance=\"127.0.0.1:" +
                             port + "\"})");
  REQUIRE(median);
  CHECK(*median > 0.05);
  CHECK(*median < 0.5);
  auto cost = server.query("chainmail_llm_cost_total");
  auto tokens = server.query("chainmail_llm_completion_tokens_total");
  REQUIRE(cost);
  REQUIRE(tokens);
  CHECK(*tokens > 0);
  CHECK(std::abs(*cost - *tokens) < 0.1); // and some millionths for the prompts
  CHECK(server.wait_for("sum(up)", 2) == 2);
  auto text = http_get(port, "/metrics");
  CHECK(text.find("chainmail_llm_calls_total") != std::string::npos);
  CHECK(text.find(secret) == std::string::npos);
  CHECK(text.find("toothpaste") == std::string::npos);
  caf::anon_send_exit(http, caf::exit_reason::user_shutdown);
}

} // namespace prometheus_test
