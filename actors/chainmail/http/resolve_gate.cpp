// Taking hosts out of URLs.
#include <chainmail/http/resolve_gate.hpp>

#include <algorithm>
#include <arpa/inet.h>

namespace chainmail {

std::string_view origin_of(std::string_view url) {
  auto scheme = url.find("://");
  auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
  return url.substr(0, url.find_first_of("/?#", start));
}

bool needs_no_resolver(std::string_view origin) {
  auto scheme = origin.find("://");
  auto host = scheme == std::string_view::npos ? origin : origin.substr(scheme + 3);
  if (auto at = host.rfind('@'); at != std::string_view::npos)
    host.remove_prefix(at + 1);
  if (host.starts_with('['))
    return true;
  std::string name{host.substr(0, host.find(':'))};
  if (name == "localhost" || name.ends_with(".localhost"))
    return true;
  in_addr ignored{};
  return inet_pton(AF_INET, name.c_str(), &ignored) == 1;
}

} // namespace chainmail
