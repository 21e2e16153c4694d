// The decisions about a request, in the order in which a real endpoint takes them.

#include "endpoint.hpp"

#include "anthropic_wire.hpp"

#include <algorithm>

namespace chainmail::simulator {

namespace {

std::string_view reason_of(unsigned status) {
  switch (status) {
  case 200:
    return "OK";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 413:
    return "Payload Too Large";
  case 429:
    return "Too Many Requests";
  case 500:
    return "Internal Server Error";
  case 503:
    return "Service Unavailable";
  case 529:
    return "Overloaded";
  default:
    return "Unknown";
  }
}

bool takes_post(const route& where) {
  using enum route::endpoint;
  return where.to == completions || where.to == chat || where.to == messages ||
         where.to == embeddings;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

answer refusal_answer(unsigned status, std::string_view message, std::string_view code) {
  return error_answer(status, message, "invalid_request_error", {}, code);
}

/// What a fault says in place of the answer; empty where it spoils the answer in other ways.
std::optional<answer> fault_answer(fault kind) {
  switch (kind) {
  case fault::rate_limited:
    return error_answer(429, "Rate limit reached (simulated fault). Please try again later.",
        "requests", {}, "rate_limit_exceeded");
  case fault::server_error:
    return error_answer(500, "The server had an error (simulated fault).", "server_error");
  case fault::unavailable:
    return error_answer(503, "The engine is overloaded (simulated fault).", "server_error");
  case fault::reset:
  case fault::hang:
    return answer{};
  default:
    return std::nullopt;
  }
}

/// Which fault stands for one of streams where there is no stream.
fault without_stream(fault kind) {
  switch (kind) {
  case fault::stream_break:
    return fault::reset;
  case fault::stream_stall:
    return fault::hang;
  case fault::stream_error:
    return fault::server_error;
  default:
    return kind;
  }
}

std::string head(unsigned status, bool keep_alive, std::string_view fields) {
  std::string text;
  text.reserve(512);
  text += "HTTP/1.1 ";
  text += std::to_string(status);
  text += ' ';
  text += reason_of(status);
  text += "\r\nServer: chainmail-simulator\r\nx-chainmail-simulation: true\r\n";
  text += fields;
  text += keep_alive ? "" : "Connection: close\r\n";
  return text;
}

} // namespace

std::uint64_t& counter_of(stats& counted, const plan& decided) {
  switch (decided.becomes) {
  case outcome::refused:
    return counted.refused;
  case outcome::rate_limited:
    return counted.rate_limited;
  case outcome::outage:
    return counted.outage;
  default:
    return counted.answered[static_cast<std::size_t>(decided.kind)];
  }
}

std::string http_text(const answer& what, bool keep_alive, std::string_view extra_fields) {
  auto text = head(what.status, keep_alive,
      "Content-Type: application/json\r\nContent-Length: " + std::to_string(what.body.size()) +
          "\r\n");
  text.append(extra_fields).append("\r\n").append(what.body);
  return text;
}

std::string stream_head(bool keep_alive, std::string_view extra_fields) {
  auto text = head(200, keep_alive,
      "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
      "Transfer-Encoding: chunked\r\n");
  text.append(extra_fields).append("\r\n");
  return text;
}

endpoint::endpoint(const options& opts)
  : behaviour_(opts),
    responder_(opts.seed, opts.models, opts.reply_tokens),
    api_key_(opts.api_key),
    fault_after_(opts.fault_after),
    retry_after_(opts.retry_after),
    retry_after_as_date_(opts.retry_after_as_date),
    outage_(opts.outage),
    outage_resets_(opts.outage_resets) {
  if (opts.requests_per_minute > 0 || opts.tokens_per_minute > 0)
    limits_.emplace(opts);
}

plan endpoint::decide(const request_view& request, const stats& counted) {
  auto where = find_route(request.target);
  bool is_post = request.method == "POST";
  plan result;
  result.is_counted = where.to != route::endpoint::stats;
  if (result.is_counted)
    result.call = calls_.see(request.idempotency_key);
  if (is_post && is_in_outage(request.received)) {
    result.becomes = outcome::outage;
    result.kind = outage_resets_ ? fault::reset : fault::unavailable;
  } else if (is_post) {
    result.kind = behaviour_.next_fault();
  }
  std::string fields;
  auto what = answer_for(result, fields, request, where, counted);
  if (!what.stream && result.kind != without_stream(result.kind)) {
    result.kind = without_stream(result.kind);
    if (auto faulty = fault_answer(result.kind))
      what = std::move(*faulty);
  }
  bool is_early = what.status / 100 == 4 || result.kind == fault::unavailable ||
                  result.becomes == outcome::outage;
  if (is_post && !is_early)
    result.latency = behaviour_.next_latency();
  if (result.kind == fault::invalid_json)
    what.body.resize(what.body.size() / 2);
  result.keep_alive = request.keep_alive && result.kind != fault::truncated;
  if (what.status == 405)
    fields = takes_post(where) ? "Allow: POST\r\n" : "Allow: GET\r\n";
  bool is_anthropic = where.to == route::endpoint::messages;
  if (limits_)
    fields += is_anthropic ? limits_->anthropic_fields(request.received)
                           : limits_->fields(request.received);
  if (is_anthropic && what.status != 200) {
    what.status = what.status == 503 ? 529 : what.status; // its own word for too busy
    if (!what.body.empty())
      what.body = anthropic_error(what.status, what.body);
  }
  if (what.stream) {
    result.text = stream_head(result.keep_alive, fields);
    result.stream = std::move(what.stream);
    result.pace = behaviour_.next_pace();
    result.fault_after = fault_after_;
    return result;
  }
  result.text = http_text(what, result.keep_alive, fields);
  result.body_size = what.body.size();
  if (request.method == "HEAD") {
    result.text.resize(result.text.size() - result.body_size);
    result.body_size = 0;
  }
  return result;
}

bool endpoint::is_in_outage(time_point now) {
  if (!first_post_)
    first_post_ = now;
  auto since = now - *first_post_;
  return is_out_ || (since >= outage_.from && since < outage_.until);
}

/// What a fault hits has passed the limits before, unless the fault is that the endpoint is too busy.
answer endpoint::answer_for(plan& result, std::string& fields, const request_view& request,
    const route& where, const stats& counted) {
  auto faulty = fault_answer(result.kind);
  if (result.kind == fault::rate_limited)
    fields = retry_after_field(retry_after_);
  bool is_turned_away = result.becomes == outcome::outage || result.kind == fault::rate_limited ||
                        result.kind == fault::unavailable;
  bool is_limited = limits_ && !is_turned_away && request.method == "POST" && takes_post(where) &&
                    has_key(request);
  if (faulty && !is_limited)
    return std::move(*faulty);
  // The limit of requests comes first: whoever is over it does not make the server think.
  auto excess = is_limited ? limits_->refuse_request(request.received) : std::nullopt;
  answer normal;
  if (!excess) {
    normal = answer_normally(request, where, counted, result.kind == fault::schema);
    if (is_limited && normal.status == 200)
      excess = limits_->accept(normal.tokens, request.received);
  }
  if (excess) {
    result.kind = fault::ok;
    result.becomes = outcome::rate_limited;
    // The header by which OpenAI's clients learn that trying again is of no use.
    fields = excess->wait ? retry_fields(*excess->wait) : "x-should-retry: false\r\n";
    return std::move(excess->what);
  }
  if (faulty)
    return std::move(*faulty);
  if (result.kind == fault::ok && normal.status != 200)
    result.becomes = outcome::refused;
  return normal;
}

answer endpoint::answer_normally(
    const request_view& request, const route& where, const stats& counted, bool breaks_schema) {
  using enum route::endpoint;
  if (where.to == none)
    return refusal_answer(404, "there is nothing at this path", "unknown_url");
  if (request.method != (takes_post(where) ? "POST" : "GET"))
    return refusal_answer(405, "this path does not take this method", "method_not_supported");
  if (where.to == stats)
    return {200, to_json(counted)};
  if (!has_key(request))
    return refusal_answer(401, "Incorrect API key provided.", "invalid_api_key");
  switch (where.to) {
  case completions:
    return responder_.complete(request.body, where.deployment);
  case chat:
    return responder_.chat(request.body, where.deployment, breaks_schema);
  case messages:
    if (request.anthropic_version.empty())
      return refusal_answer(400, "anthropic-version: header is required", {});
    return responder_.messages(request.body, breaks_schema);
  case embeddings:
    return responder_.embed_inputs(request.body, where.deployment);
  default:
    return responder_.list_models();
  }
}

std::string endpoint::retry_after_field(std::chrono::nanoseconds wait) const {
  using namespace std::chrono;
  auto text = retry_after_as_date_ ? http_date(system_clock::now() + wait)
                                   : std::to_string(ceil<seconds>(wait).count());
  return "Retry-After: " + text + "\r\n";
}

std::string endpoint::retry_fields(std::chrono::nanoseconds wait) const {
  using namespace std::chrono;
  auto fields = retry_after_field(wait);
  if (!retry_after_as_date_)
    fields += "retry-after-ms: " + std::to_string(ceil<milliseconds>(wait).count()) + "\r\n";
  return fields;
}

bool endpoint::has_key(const request_view& request) const {
  constexpr std::string_view scheme = "Bearer ";
  if (api_key_.empty() || request.api_key == api_key_)
    return true;
  auto given = request.authorization;
  return equal_ignoring_case(given.substr(0, scheme.size()), scheme) &&
         given.substr(scheme.size()) == api_key_;
}

} // namespace chainmail::simulator
