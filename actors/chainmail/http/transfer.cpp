// Loading requests into libcurl and reading responses out of it.
#include <chainmail/http/curl_errors.hpp>
#include <chainmail/http/transfer.hpp>

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>

namespace chainmail {

namespace {

/// Part of every request. The second as an option, as the third below, would be formatted anew for
/// each, by an allocation and a loop over bytes: 5 % of the instructions of a call.
constexpr std::array fixed_lines{
    "Expect:", // else libcurl waits a second for "100 Continue"
    "User-Agent: chainmail/0.1",
};

/// A stream is not compressed: a few bytes may become any number while it is paused, and libcurl
/// would keep them all.
constexpr auto encodings = "Accept-Encoding: gzip, deflate";
constexpr auto no_encoding = "Accept-Encoding: identity";

caf::timespan microseconds_of(CURL* easy, CURLINFO what) {
  curl_off_t us = 0;
  curl_easy_getinfo(easy, what, &us);
  return std::chrono::microseconds{us};
}

} // namespace

void configure(CURL* easy, const curl_settings& settings) {
  const auto& options = *settings.options;
  auto set = [easy](CURLoption option, auto x) { curl_easy_setopt(easy, option, x); };
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(options.connect_timeout).count();
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L); // else removing a handle waits for its resolver thread
  set(CURLOPT_SHARE, settings.share);
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L); // a redirect would carry custom key headers to another host
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PROXY, options.proxy.c_str()); // "" also keeps http_proxy of the environment out
  set(CURLOPT_NOPROXY, "");                  // and this keeps no_proxy out
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::clamp<int64_t>(ms, 1, INT_MAX)));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_CAINFO, settings.ca_file.c_str());
  set(CURLOPT_CAPATH, static_cast<char*>(nullptr)); // with one, the CA store is not cached
}

parsed_url::parsed_url(const std::string& from) : text(from), parts(curl_url()) {
  if (curl_url_set(parts, CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    curl_url_cleanup(parts);
    parts = nullptr;
  }
}

parsed_url::~parsed_url() {
  curl_url_cleanup(parts);
}

// -- life -----------------------------------------------------------------------------

transfer::transfer(const curl_settings& settings, shard* home)
  : easy_(curl_easy_init()),
    last_url_(settings.last_url),
    home_(home),
    options_(settings.options),
    listed_(settings.listed) {
  if (easy_ == nullptr)
    throw std::bad_alloc{};
  configure(easy_, settings);
  auto set = [this](CURLoption option, auto x) { curl_easy_setopt(easy_, option, x); };
  set(CURLOPT_PRIVATE, static_cast<handle_owner*>(this));
  set(CURLOPT_WRITEFUNCTION, &transfer::on_body);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_HEADERFUNCTION, &transfer::on_head);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_ERRORBUFFER, error_.data());
  set_decoding(true);
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options_->max_response_bytes));
  // Small buffers: they are most of the memory of a call in flight.
  set(CURLOPT_BUFFERSIZE, 4096L);
  set(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
}

transfer::~transfer() {
  curl_easy_cleanup(easy_);
}

// -- one exchange -----------------------------------------------------------------------

void transfer::load(exchange& what) {
  current_ = &what;
  what.carrier = this;
  exceeded_ = false;
  unasked_encoding_ = false;
  is_streamed_ = false;
  head_ended_ = false;
  headers_.clear();
  error_[0] = '\0';
  const auto& request = what.request;
  set_url(request.url);
  set_method(request.method);
  set_decoding(!what.stream);
  if (request.method == "POST") {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(
        easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  chain_headers();
}

/// libcurl takes a text apart and puts it together again for each transfer: a tenth of the instructions
/// of a call. What it cannot read, it gets as text, and says what is wrong with it.
void transfer::set_url(const std::string& text) {
  if (url_ && url_->text == text)
    return;
  auto& last = *last_url_;
  if (!last || last->text != text)
    last = std::make_shared<const parsed_url>(text);
  url_ = last;
  curl_easy_setopt(easy_, CURLOPT_CURLU, url_->parts);
  curl_easy_setopt(easy_, CURLOPT_URL, url_->text.c_str());
}

void transfer::set_method(const std::string& method) {
  if (method == method_)
    return;
  method_ = method;
  curl_easy_setopt(easy_, method == "GET" ? CURLOPT_HTTPGET : CURLOPT_POST, 1L);
}

/// The request's header is a line of ours.
void transfer::set_decoding(bool decodes) {
  if (decodes == decodes_)
    return;
  decodes_ = decodes;
  curl_easy_setopt(easy_, CURLOPT_ACCEPT_ENCODING, decodes ? "gzip, deflate" : nullptr);
}

void transfer::chain_headers() {
  const auto& request = current_->request;
  lines_.clear();
  for (const auto& [name, content] : request.headers) {
    auto& line = lines_.emplace_back();
    line.reserve(name.size() + 2 + content.size());
    line.append(name);
    if (content.empty())
      line += ';'; // libcurl's way to write it: "name:" would take the header out
    else
      line.append(": ").append(content);
  }
  nodes_.clear();
  auto add = [this](const char* text) { nodes_.push_back({const_cast<char*>(text), nullptr}); };
  for (const auto* line : fixed_lines)
    add(line);
  add(current_->stream ? no_encoding : encodings);
  for (const auto& line : lines_)
    add(line.c_str());
  if (const auto& secrets = request.secrets.lines())
    for (const auto& line : *secrets)
      add(line.c_str());
  for (size_t i = 0; i + 1 < nodes_.size(); ++i)
    nodes_[i].next = &nodes_[i + 1];
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, nodes_.data());
}

caf::expected<http_response> transfer::unload(CURLcode result) {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  if (result == CURLE_OK && !head_ended_)
    result = CURLE_PARTIAL_FILE; // libcurl takes it for an empty body
  if (result == CURLE_OK) {
    http_response response;
    response.status = static_cast<int32_t>(status);
    response.headers = std::move(headers_);
    response.timings = read_timings();
    response.body = std::move(answer_);
    abandon();
    return response;
  }
  failed_exchange failed;
  failed.result = result;
  failed.detail = error_.data();
  failed.method = current_->request.method;
  failed.url = current_->request.url;
  failed.received = current_->stream ? current_->stream->received() : answer_.size();
  failed.status = status;
  failed.exceeded_limit = exceeded_;
  failed.limit = options_->max_response_bytes;
  failed.unasked_encoding = unasked_encoding_;
  curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &failed.os_error);
  auto error = to_failure(failed);
  abandon();
  return error;
}

void transfer::abandon() {
  current_->carrier = nullptr;
  current_ = nullptr;
  answer_ = std::string{};
}

// -- details ------------------------------------------------------------------------------

size_t transfer::on_head(char* data, size_t size, size_t count, void* self) {
  auto& t = *static_cast<transfer*>(self);
  std::string_view line{data, size * count};
  // Trailers come here as well, after the end; another head comes after an interim one's.
  if (line == "\r\n" || line == "\n") {
    t.head_ended_ = true;
    long status = 0;
    curl_easy_getinfo(t.easy_, CURLINFO_RESPONSE_CODE, &status);
    t.is_streamed_ = t.current_->stream && status >= 200 && status < 300;
  } else if (line.starts_with("HTTP/")) {
    t.head_ended_ = false;
    t.headers_.clear();
  } else if (!t.head_ended_) {
    t.read_header(line);
  }
  return line.size();
}

size_t transfer::on_body(char* data, size_t size, size_t count, void* self) {
  auto& t = *static_cast<transfer*>(self);
  auto bytes = size * count;
  if (t.is_streamed_)
    return t.take_piece({data, bytes});
  // Decompressed bytes: MAXFILESIZE sees neither these nor chunked bodies.
  if (bytes > t.options_->max_response_bytes - t.answer_.size()) {
    t.exceeded_ = true;
    return 0;
  }
  t.answer_.append(data, bytes);
  return bytes;
}

size_t transfer::take_piece(std::string_view piece) {
  auto& stream = *current_->stream;
  if (!std::exchange(stream.is_listed, true))
    listed_->push_back({current_, current_->ticket});
  if (!stream.has_begun() && is_encoded()) {
    unasked_encoding_ = true;
    return 0;
  }
  if (piece.size() > options_->max_response_bytes - stream.received()) {
    exceeded_ = true;
    return 0;
  }
  if (!stream.may_read()) {
    stream.is_paused = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  stream.read(piece, exchange::clock::now());
  return piece.size();
}

bool transfer::is_encoded() const {
  curl_header* found = nullptr;
  return curl_easy_header(easy_, "content-encoding", 0, CURLH_HEADER, -1, &found) == CURLHE_OK &&
         std::string_view{found->value} != "identity";
}

/// Of a line of the head, or of the second line of a field. To ask libcurl for the fields afterwards
/// compares each with each.
void transfer::read_header(std::string_view line) {
  auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  auto trimmed = [&](std::string_view text) {
    while (!text.empty() && is_blank(text.front()))
      text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
      text.remove_suffix(1);
    return text;
  };
  auto colon = line.find(':');
  if (line.front() == ' ' || line.front() == '\t') {
    if (!headers_.empty())
      headers_.back().value.append(" ").append(trimmed(line));
  } else if (colon != std::string_view::npos) {
    if (headers_.empty())
      headers_.reserve(16);
    auto& added = headers_.emplace_back();
    added.name = trimmed(line.substr(0, colon));
    for (auto& c : added.name)
      if (c >= 'A' && c <= 'Z')
        c = static_cast<char>(c - 'A' + 'a');
    added.value = trimmed(line.substr(colon + 1));
  }
}

http_timings transfer::read_timings() const {
  http_timings result;
  result.queued = current_->started - current_->arrived;
  auto connect = std::max(microseconds_of(easy_, CURLINFO_CONNECT_TIME_T),
      microseconds_of(easy_, CURLINFO_APPCONNECT_TIME_T));
  result.connected = result.queued + connect;
  result.first_byte = result.queued + microseconds_of(easy_, CURLINFO_STARTTRANSFER_TIME_T);
  result.total = exchange::clock::now() - current_->arrived;
  return result;
}

} // namespace chainmail
