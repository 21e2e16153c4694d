// What libcurl's result codes mean to a caller.
#pragma once

#include <caf/error.hpp>
#include <curl/curl.h>

#include <string>
#include <string_view>

namespace chainmail {

/// The parts of a failed exchange that its error tells of.
struct failed_exchange {
  CURLcode result = CURLE_OK;
  /// libcurl's own words, may be empty.
  std::string_view detail;
  std::string_view method;
  std::string_view url;
  /// Body bytes that had arrived, and the status that came with them.
  size_t received = 0;
  long status = 0;
  /// errno of the failed connect, or 0.
  long os_error = 0;
  bool exceeded_limit = false;
  size_t limit = 0;
  /// The body is compressed, and the request said that it must not be.
  bool unasked_encoding = false;
};

/// Scheme, host, port and path of a URL: what may stand in an error or a log.
std::string endpoint_of(std::string_view url);

caf::error to_failure(const failed_exchange& failed);

} // namespace chainmail
