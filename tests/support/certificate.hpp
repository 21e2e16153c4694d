// Certificates made on the spot, for servers that are to be trusted or not.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <support/temporary_folder.hpp>
#include <vector>

extern "C" {
typedef struct x509_st X509;
typedef struct evp_pkey_st EVP_PKEY;
struct ssl_st;
struct ssl_ctx_st;
}

namespace chainmail::test {

/// Self-signed, with a key of its own, and written to files that live as long as this object.
class certificate {
public:
  /// Whom it is for: "DNS:localhost", "IP:127.0.0.1".
  using names = std::vector<std::string>;

  explicit certificate(const names& for_whom = {"DNS:localhost", "IP:127.0.0.1"},
      std::chrono::hours ends_in = std::chrono::hours{1});
  certificate(const certificate&) = delete;
  certificate& operator=(const certificate&) = delete;
  ~certificate();

  [[nodiscard]] X509* x509() const { return x509_.get(); }
  [[nodiscard]] EVP_PKEY* key() const { return key_.get(); }

  /// The certificate without its key, as PEM: for http_options::ca_file.
  [[nodiscard]] const std::string& file() const { return file_; }

  /// Its key alone, as PEM.
  [[nodiscard]] const std::string& key_file() const { return key_file_; }

private:
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> x509_;
  std::string file_;
  std::string key_file_;
};

/// Who one is, and whose word one takes for who others are: PEM files.
struct credentials {
  std::string certificate_file;
  std::string key_file;
  std::string ca_file;
};

/// Issues certificates for both ends of mutual TLS. The files live as long as this object.
class certificate_authority {
public:
  certificate_authority();

  /// A new certificate with a new key. `ends_in` below zero: it has expired.
  credentials issue(const certificate::names& for_whom = {"DNS:localhost", "IP:127.0.0.1"},
      std::chrono::hours ends_in = std::chrono::hours{1});

  /// Whose word is to be taken: the authority's own certificate.
  [[nodiscard]] const std::string& file() const { return file_; }

private:
  temporary_folder folder_;
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> x509_;
  std::string file_;
  size_t issued_ = 0;
};

} // namespace chainmail::test
