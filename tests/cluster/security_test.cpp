// Who gets in, and what gets out.
#include "e2e/program.hpp"

#include <chainmail/llm/scripted_llm.hpp>

#include <catch2/catch_test_macros.hpp>
#include <openssl/ssl.h>

#include <mutex>
#include <support/certificate.hpp>
#include <support/http_calls.hpp>
#include <support/member.hpp>
#include <support/process.hpp>
#include <support/recording_proxy.hpp>
#include <support/refusal.hpp>
#include <support/tcp_socket.hpp>

namespace security_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

member_tls with(const credentials& x) {
  return {x.certificate_file, x.key_file, x.ca_file};
}

struct guarded_server {
  certificate_authority authority;
  member server{{.name = "server", .listen = "127.0.0.1:0"}, with(authority.issue())};

  guarded_server() {
    server.node.offer("llm", spawn_scripted_llm(server.system, [](const llm_request& request) {
      return scripted_reply{"re: " + request.prompts.front(), {}, {}};
    }));
  }

  /// Whether a node with these credentials gets in; it tries for a second.
  bool lets_in(const member_tls& credentials_of_client) {
    member client{{.name = "client", .join = {server.address()}}, credentials_of_client};
    auto result = client.node.wait_for_peers(1, 1s);
    CHECK(result == !server.node.status().peers.empty());
    return result;
  }
};

} // namespace

TEST_CASE("nodes with certificates of one authority talk over TLS", "[security]") {
  guarded_server guarded;
  member client{
      {.name = "client", .join = {guarded.server.address()}}, with(guarded.authority.issue())};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  caf::scoped_actor self{client.system};
  auto answer = generate(self, llm, std::string{"hello"}, 10s);
  REQUIRE(answer);
  CHECK(answer->text() == "re: hello");
}

TEST_CASE("a certificate that is not valid gets nobody in", "[security]") {
  guarded_server guarded;
  CHECK(guarded.lets_in(with(guarded.authority.issue())));
  certificate_authority other;
  auto expired = guarded.authority.issue({"IP:127.0.0.1"}, -1h);
  CHECK(!guarded.lets_in(with(expired)));
  auto foreign = other.issue();
  foreign.ca_file = guarded.authority.file(); // it believes the server, but not the other way round
  CHECK(!guarded.lets_in(with(foreign)));
  certificate self_signed;
  CHECK(!guarded.lets_in({self_signed.file(), self_signed.key_file(), guarded.authority.file()}));
  CHECK(guarded.lets_in(with(guarded.authority.issue())));
}

TEST_CASE("a server with a certificate of somebody else is not believed", "[security]") {
  guarded_server guarded;
  certificate_authority other;
  auto mine = guarded.authority.issue();
  mine.ca_file = other.file();
  CHECK(!guarded.lets_in(with(mine)));
}

TEST_CASE("plaintext does not get in where TLS is spoken", "[security]") {
  guarded_server guarded;
  CHECK(!guarded.lets_in({}));
  // Nor does TLS where plaintext is.
  member open{{.name = "open", .listen = "127.0.0.1:0"}};
  member client{{.name = "client", .join = {open.address()}}, with(guarded.authority.issue())};
  CHECK(!client.node.wait_for_peers(1, 500ms));
}

TEST_CASE("TLS without a certificate does not get in", "[security]") {
  guarded_server guarded;
  auto socket = tcp_socket::connected("127.0.0.1", guarded.server.node.port());
  auto* context = SSL_CTX_new(TLS_client_method());
  auto* tls = SSL_new(context);
  SSL_set_fd(tls, socket.fd());
  // With TLS 1.3 the client hears of the refusal when it reads.
  auto connected = SSL_connect(tls);
  char byte = 0;
  auto read = connected == 1 ? SSL_read(tls, &byte, 1) : -1;
  CHECK(read <= 0);
  SSL_free(tls);
  SSL_CTX_free(context);
  CHECK(guarded.server.node.status().peers.empty());
}

TEST_CASE("TLS that cannot start is refused with the files that are to blame", "[security]") {
  certificate_authority authority;
  auto good = authority.issue();
  auto other = authority.issue();
  auto refusal = [](const member_tls& tls) {
    return refusal_of([&] { member x{{.listen = "127.0.0.1:0"}, tls}; });
  };
  CHECK(refusal({good.certificate_file, good.key_file, ""}).find("all three") != std::string::npos);
  CHECK(
      refusal({good.certificate_file, "/none.pem", good.ca_file}).find("key") != std::string::npos);
  CHECK(refusal({good.certificate_file, other.key_file, good.ca_file}).find("belongs") !=
        std::string::npos);
  CHECK(
      refusal({"/none.pem", good.key_file, good.ca_file}).find("certificate") != std::string::npos);
}

TEST_CASE("the API key of a worker is in no byte between nodes", "[security]") {
  const auto secret = "sk-test-9f8e7d6c5b4a"s;
  simulator_process endpoint{{"--latency=5ms", "--api-key=" + secret}};
  member client{{.name = "client", .listen = "127.0.0.1:0"}};
  recording_proxy tap{client.node.port()};
  background_program worker{"chainmail-node",
      {"--role=worker", "--name=w1", "--llm.base-url=" + endpoint.base_url(), "--llm.attempts=1",
          "--join=127.0.0.1:" + std::to_string(tap.port())},
      {{"OPENAI_API_KEY", secret}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  caf::scoped_actor self{client.system};
  auto good = generate(self, llm, std::string{"Say the number 4."}, 10s);
  REQUIRE(good);
  llm_request unknown;
  unknown.prompts = {"x"};
  unknown.parameters.model = "no-such-model-" + std::string(50, 'x');
  auto bad = generate(self, llm, unknown, 10s);
  auto recorded = tap.recorded();
  CHECK(recorded.find("Say the number 4.") != std::string::npos); // it is the right wire
  CHECK(recorded.find(secret) == std::string::npos);
  CHECK(recorded.find(secret.substr(3)) == std::string::npos);
  CHECK(worker.out().find(secret) == std::string::npos);
  CHECK(worker.err().find(secret) == std::string::npos);
}

TEST_CASE("over TLS, the wire shows no prompt", "[security]") {
  guarded_server guarded;
  recording_proxy tap{guarded.server.node.port()};
  member client{{.name = "client", .join = {"127.0.0.1:" + std::to_string(tap.port())}},
      with(guarded.authority.issue())};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  caf::scoped_actor self{client.system};
  REQUIRE(generate(self, llm, std::string{"a secret prompt"}, 10s));
  CHECK(tap.recorded().size() > 1'000);
  CHECK(tap.recorded().find("a secret prompt") == std::string::npos);
}

TEST_CASE("off loopback, the program needs TLS or --insecure", "[security]") {
  auto refused = run_program("chainmail-node", {"--role=coordinator", "--listen=0.0.0.0:0"});
  CHECK(refused.status == 2);
  CHECK(refused.err.find("needs TLS") != std::string::npos);
  background_program open{
      "chainmail-node", {"--role=coordinator", "--listen=0.0.0.0:0", "--insecure"}};
  CHECK(open.first_line().find("ready on port") != std::string::npos);
  certificate_authority authority;
  auto own = authority.issue();
  background_program safe{"chainmail-node",
      {"--role=coordinator", "--listen=0.0.0.0:0",
          "--caf.openssl.certificate=" + own.certificate_file, "--caf.openssl.key=" + own.key_file,
          "--caf.openssl.cafile=" + own.ca_file}};
  CHECK(safe.first_line().find("ready on port") != std::string::npos);
}

} // namespace security_test
