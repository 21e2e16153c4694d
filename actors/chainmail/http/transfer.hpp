// One pooled libcurl easy handle and the exchange that it carries at the moment.
#pragma once

#include <chainmail/call_context.hpp>
#include <chainmail/http.hpp>
#include <chainmail/http/body_stream.hpp>
#include <chainmail/http/http_options.hpp>

#include <caf/expected.hpp>
#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail {

struct host;
struct shard;
class transfer;
struct exchange;

/// Names a call of an engine for as long as it is one: exchanges are used again.
struct exchange_key {
  exchange* call = nullptr;
  uint64_t ticket = 0;
};

/// What is special about a call whose body goes to a sink.
struct exchange_stream : body_stream {
  /// Sends a piece to the sink.
  using sender = std::function<void(const exchange_key&, std::string)>;
  sender send;
  /// libcurl was told to read no more for now.
  bool is_paused = false;
  /// It stands in the engine's list of streams to look at.
  bool is_listed = false;
  /// It can go on when the sink takes something.
  bool is_held = false;
  /// The exchange is over, the sink has not taken everything.
  std::optional<caf::expected<http_response>> outcome;
};

/// A call inside the engine, from its arrival to its answer.
struct exchange {
  using clock = deadline::clock;
  using completion = std::function<void(caf::expected<http_response>)>;

  /// Unique for each call; 0 when the object waits to be used again.
  uint64_t ticket = 0;
  http_request request;
  completion done;
  clock::time_point arrived;
  clock::time_point started;
  /// When the call is given up; that of a stream may be earlier, by what its pieces take.
  clock::time_point due;
  /// When the engine looks again whether it is late.
  clock::time_point watched;
  /// The list that holds it, and where: moving between lists is a splice.
  std::list<exchange>* home = nullptr;
  std::list<exchange>::iterator place;
  /// Set while it is on the wire.
  transfer* carrier = nullptr;
  std::multimap<call_id, exchange*>::iterator name;
  bool has_name = false;
  std::unique_ptr<exchange_stream> stream;
};

/// Who owns an easy handle: libcurl's private pointer leads here.
struct handle_owner {
  host* scout_of = nullptr;
};

/// A URL as libcurl reads it.
class parsed_url {
public:
  explicit parsed_url(const std::string& from);
  parsed_url(const parsed_url&) = delete;
  parsed_url& operator=(const parsed_url&) = delete;
  ~parsed_url();

  std::string text;
  /// Null if libcurl cannot read it.
  CURLU* parts;
};

/// What all easy handles of an engine share.
struct curl_settings {
  const http_options* options = nullptr;
  CURLSH* share = nullptr;
  std::string ca_file = {};
  /// Where streams are listed that got something.
  std::vector<exchange_key>* listed = nullptr;
  /// The URL that was asked for last: most transfers have it.
  std::shared_ptr<const parsed_url>* last_url = nullptr;
};

/// Sets what exchanges and scouts have in common: whom to trust, and what never to do.
void configure(CURL* easy, const curl_settings& settings);

/// Carries one exchange after the other. Used by one thread, never inside a libcurl callback.
class transfer : public handle_owner {
public:
  transfer(const curl_settings& settings, shard* home);
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;
  ~transfer();

  /// Prepares the handle for the exchange's request, which must stay where it is.
  void load(exchange& what);

  /// Reads the outcome of the exchange, and forgets it.
  caf::expected<http_response> unload(CURLcode result);

  /// Forgets an exchange that was given up.
  void abandon();

  [[nodiscard]] CURL* handle() const { return easy_; }
  [[nodiscard]] shard* home() const { return home_; }
  [[nodiscard]] exchange* current() const { return current_; }

private:
  static size_t on_head(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  void set_url(const std::string& text);
  void set_method(const std::string& method);
  void set_decoding(bool decodes);
  size_t take_piece(std::string_view piece);
  [[nodiscard]] bool is_encoded() const;
  void chain_headers();
  void read_header(std::string_view line);
  [[nodiscard]] http_timings read_timings() const;

  CURL* easy_;
  std::shared_ptr<const parsed_url> url_;
  std::shared_ptr<const parsed_url>* last_url_;
  shard* home_;
  const http_options* options_;
  std::vector<exchange_key>* listed_;
  exchange* current_ = nullptr;
  std::string answer_;
  bool exceeded_ = false;
  /// The body is compressed, and nobody asked for that.
  bool unasked_encoding_ = false;
  bool decodes_ = false;
  /// The body goes to the call's sink: its status is a 2xx.
  bool is_streamed_ = false;
  /// The empty line after the header fields has come.
  bool head_ended_ = false;
  /// Of the head that came last.
  std::vector<http_header> headers_;
  std::string method_;
  /// The request's own header lines, and nodes for these and the secret ones. libcurl only reads
  /// the list, so the nodes point at strings that live elsewhere.
  std::vector<std::string> lines_;
  std::vector<curl_slist> nodes_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

} // namespace chainmail
