// libcurl's result codes as chainmail's errors.
#include <chainmail/errors.hpp>
#include <chainmail/http/curl_errors.hpp>

#include <cerrno>

namespace chainmail {

std::string endpoint_of(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  auto scheme = url.find("://");
  if (scheme == std::string_view::npos)
    return std::string{url};
  auto authority = url.substr(scheme + 3);
  authority = authority.substr(0, authority.find('/'));
  auto at = authority.rfind('@');
  if (at == std::string_view::npos)
    return std::string{url};
  std::string result{url.substr(0, scheme + 3)};
  result += url.substr(scheme + 3 + at + 1);
  return result;
}

caf::error to_failure(const failed_exchange& failed) {
  auto endpoint = endpoint_of(failed.url);
  auto what = std::string{failed.method} + " " + endpoint;
  auto make = [&](errc code, std::string sentence) {
    if (!failed.detail.empty() && !failed.exceeded_limit) // then it speaks of a failed write: ours
      sentence += " (" + std::string{failed.detail} + ")";
    return make_failure(code, std::move(sentence), {static_cast<int32_t>(failed.status), endpoint});
  };
  if (failed.exceeded_limit || failed.result == CURLE_FILESIZE_EXCEEDED)
    return make(errc::response_too_large, what + ": the response is larger than the limit of " +
                                              std::to_string(failed.limit) + " bytes");
  if (failed.unasked_encoding)
    return make_failure(errc::malformed_response,
        what + ": the stream is compressed, although the request wants it plain; streams are not "
               "decompressed",
        {static_cast<int32_t>(failed.status), endpoint});
  switch (failed.result) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
    return make(errc::connection_failed,
        what + ": the host name cannot be resolved; check its spelling and the network");
  case CURLE_COULDNT_CONNECT:
    if (failed.os_error == EMFILE || failed.os_error == ENFILE)
      return make(errc::connection_failed,
          what + ": no file descriptor is left for a connection; raise ulimit -n");
    return make(errc::connection_failed, what + ": nothing accepts connections there");
  case CURLE_OPERATION_TIMEDOUT:
    return make(errc::connection_failed, what + ": no connection within the connect time-out");
  case CURLE_PEER_FAILED_VERIFICATION:
    return make(errc::connection_failed,
        what + ": the server's certificate cannot be verified; if it is your own authority's, set "
               "http_options::ca_file");
  case CURLE_SSL_CACERT_BADFILE:
    return make(errc::connection_failed,
        what + ": the file of trusted authorities cannot be read; install ca-certificates or set "
               "http_options::ca_file");
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_ISSUER_ERROR:
    return make(errc::connection_failed, what + ": no TLS connection");
  case CURLE_URL_MALFORMAT:
    return make(errc::invalid_input, what + ": this is no URL");
  case CURLE_UNSUPPORTED_PROTOCOL: // libcurl's word for HTTP/0.9, that is, for no HTTP at all
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
    return make(errc::malformed_response, what + ": the reply is not HTTP as it should be");
  case CURLE_GOT_NOTHING:
    return make(
        errc::connection_failed, what + ": the server closed the connection without a reply");
  default:
    // Whatever ended it: once a reply had begun, it broke off.
    if (failed.status != 0)
      return make(errc::malformed_response,
          what + ": the reply broke off after " + std::to_string(failed.received) + " bytes");
    return make(errc::connection_failed, what + ": the connection broke");
  }
}

} // namespace chainmail
