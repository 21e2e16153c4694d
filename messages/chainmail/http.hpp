// HTTP exchanges as messages.
#pragma once

#include <chainmail/type_ids.hpp>

#include <caf/timespan.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

/// One header field. Names of responses are in lower case.
struct http_header {
  std::string name = {};
  std::string value = {};
};

template <class Inspector>
bool inspect(Inspector& f, http_header& x) {
  return f.object(x).fields(f.field("name", x.name), f.field("value", x.value));
}

/// Header lines that hold keys. Inside a process a message shares them without copying; they are
/// never printed and never cross the wire: a request that arrives from another node has only the
/// mark that it had some, and is refused.
class secret_headers {
public:
  secret_headers() = default;

  /// Takes "Name: value" lines.
  explicit secret_headers(std::vector<std::string> lines)
    : lines_(std::make_shared<const std::vector<std::string>>(std::move(lines))) {}

  /// Null when there are none.
  [[nodiscard]] const std::shared_ptr<const std::vector<std::string>>& lines() const {
    return lines_;
  }

  /// True when there were some, on the node where the request was made.
  [[nodiscard]] bool stayed_home() const { return stayed_home_; }

  template <class Inspector>
  friend bool inspect(Inspector& f, secret_headers& x) {
    auto get = [&x] { return x.lines_ != nullptr || x.stayed_home_; };
    auto set = [&x](bool had_some) {
      x.lines_ = nullptr;
      x.stayed_home_ = had_some;
      return true;
    };
    return f.object(x).fields(f.field("present", get, set));
  }

private:
  std::shared_ptr<const std::vector<std::string>> lines_;
  bool stayed_home_ = false;
};

/// One exchange to perform.
struct http_request {
  /// "GET" or "POST".
  std::string method = "POST";
  /// http or https.
  std::string url = {};
  std::vector<http_header> headers = {};
  secret_headers secrets = {};
  std::string body = {};
  /// Of a stream: how long until the first byte of its body, and between two pieces of it, not
  /// counting the time that the sink takes. Zero for as long as the call's deadline allows.
  caf::timespan first_byte_timeout{0};
  caf::timespan idle_timeout{0};
};

template <class Inspector>
bool inspect(Inspector& f, http_request& x) {
  return f.object(x).fields(f.field("method", x.method), f.field("url", x.url),
      f.field("headers", x.headers), f.field("secrets", x.secrets), f.field("body", x.body),
      f.field("first_byte_timeout", x.first_byte_timeout), f.field("idle_timeout", x.idle_timeout));
}

/// Where the time of one exchange went, each counted from the moment that the worker took it.
struct http_timings {
  /// Until it was started: it waited for a free place, or for its host name.
  caf::timespan queued{0};
  /// Until there was a connection, TLS included. Equal to `queued` when one was reused.
  caf::timespan connected{0};
  /// Until the first byte of the response.
  caf::timespan first_byte{0};
  caf::timespan total{0};
};

template <class Inspector>
bool inspect(Inspector& f, http_timings& x) {
  return f.object(x).fields(f.field("queued", x.queued), f.field("connected", x.connected),
      f.field("first_byte", x.first_byte), f.field("total", x.total));
}

/// What an engine is doing.
struct http_status {
  /// Calls that are not answered yet: under way, or waiting for a place.
  uint64_t outstanding = 0;
};

template <class Inspector>
bool inspect(Inspector& f, http_status& x) {
  return f.object(x).fields(f.field("outstanding", x.outstanding));
}

/// A complete response, of any status.
struct http_response {
  int32_t status = 0;
  std::vector<http_header> headers = {};
  /// Decompressed.
  std::string body = {};
  http_timings timings = {};

  /// The value of the first header of that name (in lower case), or nothing.
  [[nodiscard]] std::string_view header(std::string_view name) const {
    for (const auto& h : headers)
      if (h.name == name)
        return h.value;
    return {};
  }
};

template <class Inspector>
bool inspect(Inspector& f, http_response& x) {
  return f.object(x).fields(f.field("status", x.status), f.field("headers", x.headers),
      f.field("body", x.body), f.field("timings", x.timings));
}

} // namespace chainmail
