// The OpenSSL calls behind test certificates.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <support/certificate.hpp>
#include <unistd.h>

namespace chainmail::test {

namespace {

void need(bool ok, const char* what) {
  if (!ok)
    throw std::runtime_error{std::string{"no test certificate: "} + what};
}

using key_ptr = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using x509_ptr = std::unique_ptr<X509, void (*)(X509*)>;

void add_extension(X509* x509, int kind, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  auto* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str());
  need(extension != nullptr, text.c_str());
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

key_ptr new_key() {
  key_ptr result{EVP_EC_gen("P-256"), EVP_PKEY_free};
  need(result != nullptr, "EVP_EC_gen");
  return result;
}

/// Not signed yet.
x509_ptr new_certificate(EVP_PKEY* key, const char* common_name, std::chrono::hours ends_in) {
  x509_ptr result{X509_new(), X509_free};
  need(result != nullptr, "X509_new");
  auto* cert = result.get();
  static long serial = 0;
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), getpid() * 1000L + ++serial);
  auto ends = std::chrono::duration_cast<std::chrono::seconds>(ends_in).count();
  X509_gmtime_adj(X509_getm_notBefore(cert), ends - 48 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(cert), ends);
  X509_set_pubkey(cert, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  return result;
}

void add_names(X509* x509, const certificate::names& for_whom) {
  std::string list;
  for (const auto& x : for_whom)
    list += (list.empty() ? "" : ",") + x;
  add_extension(x509, NID_subject_alt_name, list);
}

void sign(X509* x509, X509* issuer, EVP_PKEY* issuer_key) {
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  need(X509_sign(x509, issuer_key, EVP_sha256()) != 0, "X509_sign");
}

template <class Write>
void write_pem(const std::string& path, Write write) {
  auto* out = std::fopen(path.c_str(), "we");
  need(out != nullptr, path.c_str());
  auto ok = write(out) == 1;
  need(std::fclose(out) == 0 && ok, path.c_str());
}

void write_certificate(const std::string& path, X509* x509) {
  write_pem(path, [&](std::FILE* out) { return PEM_write_X509(out, x509); });
}

void write_key(const std::string& path, EVP_PKEY* key) {
  write_pem(path, [&](std::FILE* out) {
    return PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

} // namespace

certificate::certificate(const names& for_whom, std::chrono::hours ends_in)
  : key_(new_key()), x509_(new_certificate(key_.get(), "chainmail test", ends_in)) {
  add_names(x509_.get(), for_whom);
  add_extension(x509_.get(), NID_basic_constraints, "critical,CA:TRUE");
  sign(x509_.get(), x509_.get(), key_.get());
  static int count = 0;
  auto stem = (std::filesystem::temp_directory_path() /
               ("chainmail-test-" + std::to_string(getpid()) + "-" + std::to_string(++count)))
                  .string();
  file_ = stem + ".pem";
  key_file_ = stem + "-key.pem";
  write_certificate(file_, x509_.get());
  write_key(key_file_, key_.get());
}

certificate::~certificate() {
  std::filesystem::remove(file_);
  std::filesystem::remove(key_file_);
}

certificate_authority::certificate_authority()
  : key_(new_key()),
    x509_(new_certificate(key_.get(), "chainmail test authority", std::chrono::hours{24})),
    file_(folder_.path("authority.pem")) {
  add_extension(x509_.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(x509_.get(), NID_key_usage, "critical,keyCertSign");
  sign(x509_.get(), x509_.get(), key_.get());
  write_certificate(file_, x509_.get());
}

credentials certificate_authority::issue(
    const certificate::names& for_whom, std::chrono::hours ends_in) {
  auto key = new_key();
  auto x509 = new_certificate(key.get(), "chainmail test node", ends_in);
  add_names(x509.get(), for_whom);
  add_extension(x509.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x509.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  sign(x509.get(), x509_.get(), key_.get());
  auto stem = folder_.path(std::to_string(++issued_));
  credentials result{stem + ".pem", stem + "-key.pem", file_};
  write_certificate(result.certificate_file, x509.get());
  write_key(result.key_file, key.get());
  return result;
}

} // namespace chainmail::test
