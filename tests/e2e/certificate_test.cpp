#include <catch2/catch_test_macros.hpp>
#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <support/certificate.hpp>

namespace certificate_test {

using namespace chainmail::test;
using namespace std::literals;

namespace {

using context_ptr = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
using session_ptr = std::unique_ptr<SSL, void (*)(SSL*)>;

context_ptr context_of(const credentials& who) {
  context_ptr result{SSL_CTX_new(TLS_method()), SSL_CTX_free};
  auto* context = result.get();
  if (!who.certificate_file.empty()) {
    REQUIRE(SSL_CTX_use_certificate_chain_file(context, who.certificate_file.c_str()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey_file(context, who.key_file.c_str(), SSL_FILETYPE_PEM) == 1);
    REQUIRE(SSL_CTX_check_private_key(context) == 1);
  }
  REQUIRE(SSL_CTX_load_verify_locations(context, who.ca_file.c_str(), nullptr) == 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return result;
}

struct outcome {
  bool both_are_content = false;
  /// What either side says of the other's certificate.
  long said_by_server = -1;
  long said_by_client = -1;
};

/// Mutual TLS, in memory.
outcome meet(const credentials& server_is, const credentials& client_is) {
  auto server_context = context_of(server_is);
  auto client_context = context_of(client_is);
  session_ptr server{SSL_new(server_context.get()), SSL_free};
  session_ptr client{SSL_new(client_context.get()), SSL_free};
  BIO* left = nullptr;
  BIO* right = nullptr;
  REQUIRE(BIO_new_bio_pair(&left, 0, &right, 0) == 1);
  SSL_set_bio(server.get(), left, left);
  SSL_set_bio(client.get(), right, right);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  for (auto i = 0; i < 10; ++i) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  return {SSL_is_init_finished(server.get()) == 1 && SSL_is_init_finished(client.get()) == 1,
      SSL_get_verify_result(server.get()), SSL_get_verify_result(client.get())};
}

} // namespace

TEST_CASE("two certificates of one authority trust one another") {
  certificate_authority authority;
  auto result = meet(authority.issue(), authority.issue({"IP:10.77.1.1"}));
  CHECK(result.both_are_content);
  CHECK(result.said_by_server == X509_V_OK);
  CHECK(result.said_by_client == X509_V_OK);
}

TEST_CASE("a peer without a good certificate is told from one that has it") {
  certificate_authority authority;
  certificate_authority other; // of the same name
  certificate self_signed;
  auto good = authority.issue();
  auto of_other = other.issue();
  of_other.ca_file = authority.file();
  for (const auto& [who, why] : std::vector<std::pair<credentials, long>>{
           {authority.issue({"DNS:localhost"}, -1h), X509_V_ERR_CERT_HAS_EXPIRED},
           {of_other, X509_V_ERR_CERT_SIGNATURE_FAILURE},
           {{self_signed.file(), self_signed.key_file(), authority.file()},
               X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT}}) {
    auto as_client = meet(good, who);
    CHECK_FALSE(as_client.both_are_content);
    CHECK(as_client.said_by_server == why);
    auto as_server = meet(who, good);
    CHECK_FALSE(as_server.both_are_content);
    CHECK(as_server.said_by_client == why);
  }
  CHECK_FALSE(meet(good, {{}, {}, authority.file()}).both_are_content);
}

TEST_CASE("the files of an authority and of a certificate go with them") {
  credentials issued;
  std::string key_file;
  {
    certificate_authority authority;
    issued = authority.issue();
    certificate self_signed;
    key_file = self_signed.key_file();
    CHECK(std::filesystem::exists(issued.key_file));
    CHECK(std::filesystem::exists(key_file));
  }
  for (const auto& path : {issued.certificate_file, issued.key_file, issued.ca_file, key_file})
    CHECK_FALSE(std::filesystem::exists(path));
}

} // namespace certificate_test
