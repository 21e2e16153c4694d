// The decisions about a request, in the order in which a real endpoint takes them.

#include "endpoint.hpp"

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
  default:
    return "Unknown";
  }
}

bool takes_post(const route& where) {
  using enum route::endpoint;
  return where.to == completions || where.to == chat || where.to == embeddings;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

answer refusal_answer(unsigned status, std::string_view message, std::string_view code) {
  return error_answer(status, message, "invalid_request_error", {}, code);
}

} // namespace

std::string http_text(const answer& what, bool keep_alive, std::string_view extra_fields) {
  std::string text;
  text.reserve(256 + what.body.size());
  text += "HTTP/1.1 ";
  text += std::to_string(what.status);
  text += ' ';
  text += reason_of(what.status);
  text += "\r\nServer: chainmail-simulator\r\nx-chainmail-simulation: true\r\n"
          "Content-Type: application/json\r\nContent-Length: ";
  text += std::to_string(what.body.size());
  text += keep_alive ? "\r\n" : "\r\nConnection: close\r\n";
  text += extra_fields;
  text += "\r\n";
  text += what.body;
  return text;
}

endpoint::endpoint(const options& opts)
  : behaviour_(opts),
    responder_(opts.seed, opts.models),
    api_key_(opts.api_key),
    retry_after_(opts.retry_after) {
}

plan endpoint::decide(const request_view& request, const stats& counted) {
  auto where = find_route(request.target);
  bool is_post = request.method == "POST";
  plan result;
  result.is_counted = where.to != route::endpoint::stats;
  if (is_post)
    result.kind = behaviour_.next_fault();
  auto what = answer_for(result.kind, request, where, counted);
  result.is_refused = result.kind == fault::ok && what.status != 200;
  bool is_early = what.status / 100 == 4 || result.kind == fault::unavailable;
  if (is_post && !is_early)
    result.latency = behaviour_.next_latency();
  if (result.kind == fault::invalid_json)
    what.body.resize(what.body.size() / 2);
  result.keep_alive = request.keep_alive && result.kind != fault::truncated;
  result.text = http_text(what, result.keep_alive, extra_fields(what, where));
  result.body_size = what.body.size();
  if (request.method == "HEAD") {
    result.text.resize(result.text.size() - result.body_size);
    result.body_size = 0;
  }
  return result;
}

answer endpoint::answer_for(
    fault kind, const request_view& request, const route& where, const stats& counted) {
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
    return {};
  default:
    return answer_normally(request, where, counted);
  }
}

answer endpoint::answer_normally(
    const request_view& request, const route& where, const stats& counted) {
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
    return responder_.chat(request.body, where.deployment);
  case embeddings:
    return responder_.embed_inputs(request.body, where.deployment);
  default:
    return responder_.list_models();
  }
}

std::string endpoint::extra_fields(const answer& what, const route& where) const {
  if (what.status == 429)
    return "Retry-After: " + std::to_string(retry_after_.count()) + "\r\n";
  if (what.status == 405)
    return takes_post(where) ? "Allow: POST\r\n" : "Allow: GET\r\n";
  return {};
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
