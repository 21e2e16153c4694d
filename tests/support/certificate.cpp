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

void add_extension(X509* x509, int kind, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  auto* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str());
  need(extension != nullptr, text.c_str());
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

} // namespace

certificate::certificate(const names& for_whom, std::chrono::hours ends_in)
  : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), x509_(X509_new(), X509_free) {
  need(key_ && x509_, "EVP_EC_gen or X509_new");
  auto* cert = x509_.get();
  static long serial = 0;
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), getpid() * 1000L + ++serial);
  auto ends = std::chrono::duration_cast<std::chrono::seconds>(ends_in).count();
  X509_gmtime_adj(X509_getm_notBefore(cert), ends - 48 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(cert), ends);
  X509_set_pubkey(cert, key_.get());
  auto* name = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
      reinterpret_cast<const unsigned char*>("chainmail test"), -1, -1, 0);
  X509_set_issuer_name(cert, name);
  std::string list;
  for (const auto& x : for_whom)
    list += (list.empty() ? "" : ",") + x;
  add_extension(cert, NID_subject_alt_name, list);
  add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
  need(X509_sign(cert, key_.get(), EVP_sha256()) != 0, "X509_sign");
  file_ = std::filesystem::temp_directory_path() /
          ("chainmail-test-" + std::to_string(getpid()) + "-" + std::to_string(serial) + ".pem");
  auto* out = std::fopen(file_.c_str(), "we");
  need(out != nullptr, file_.c_str());
  PEM_write_X509(out, cert);
  std::fclose(out);
}

certificate::~certificate() {
  std::filesystem::remove(file_);
}

} // namespace chainmail::test
