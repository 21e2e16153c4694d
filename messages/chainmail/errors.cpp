// The names of the error codes, and errors read back.
#include <chainmail/errors.hpp>

#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

#include <array>
#include <string_view>

namespace chainmail {

namespace {

constexpr std::array<std::string_view, 20> error_names = {"none", "invalid_input", "missing_input",
    "unexpected_input", "authentication", "not_found", "bad_request", "rate_limited",
    "server_error", "connection_failed", "timed_out", "cancelled", "overloaded",
    "response_too_large", "malformed_response", "content_filtered", "unsupported", "shut_down",
    "internal", "unavailable"};

bool is_ours(const caf::error& what) {
  return what && what.category() == caf::type_id_v<errc>;
}

} // namespace

// -- names ------------------------------------------------------------------------

std::string to_string(errc x) {
  auto index = static_cast<size_t>(x);
  return std::string{index < error_names.size() ? error_names[index] : "unknown"};
}

bool parse(std::string_view text, errc& x) {
  for (size_t i = 0; i < error_names.size(); ++i)
    if (text == error_names[i]) {
      x = static_cast<errc>(i);
      return true;
    }
  return false;
}

bool from_integer(uint8_t number, errc& x) {
  if (number >= error_names.size())
    return false;
  x = static_cast<errc>(number);
  return true;
}

// -- making and reading -------------------------------------------------------------

caf::error make_failure(errc code, std::string sentence) {
  return caf::make_error(code, std::move(sentence));
}

caf::error make_failure(errc code, std::string sentence, error_detail detail) {
  return caf::make_error(code, std::move(sentence), std::move(detail));
}

caf::error invalid_input(std::string sentence) {
  return make_failure(errc::invalid_input, std::move(sentence));
}

errc code_of(const caf::error& what) {
  if (!what)
    return errc::none;
  auto code = errc::internal;
  return is_ours(what) && from_integer(what.code(), code) ? code : errc::internal;
}

std::string sentence_of(const caf::error& what) {
  if (!what)
    return {};
  const auto& context = what.context();
  if (is_ours(what) && context.size() > 0 && context.match_element<std::string>(0))
    return context.get_as<std::string>(0);
  return to_string(what);
}

std::optional<error_detail> detail_of(const caf::error& what) {
  if (!is_ours(what))
    return std::nullopt;
  const auto& context = what.context();
  if (context.size() < 2 || !context.match_element<error_detail>(1))
    return std::nullopt;
  return context.get_as<error_detail>(1);
}

flat_error flatten(const caf::error& what) {
  return {code_of(what), sentence_of(what), detail_of(what)};
}

caf::error to_error(flat_error what) {
  if (what.code == errc::none)
    return {};
  return what.detail ? make_failure(what.code, std::move(what.sentence), std::move(*what.detail))
                     : make_failure(what.code, std::move(what.sentence));
}

std::string describe(const caf::error& what) {
  if (!is_ours(what))
    return sentence_of(what);
  return to_string(code_of(what)) + ": " + sentence_of(what);
}

caf::error to_failure(caf::error what, const char* who) {
  if (!what || is_ours(what))
    return what;
  using std::string;
  if (what == caf::sec::request_receiver_down || what == caf::sec::broken_promise ||
      what == caf::sec::remote_linking_failed || what == caf::sec::no_route_to_receiving_node ||
      what.category() == caf::type_id_v<caf::exit_reason>)
    return make_failure(errc::shut_down, string{who} + " is gone, and the call with it");
  if (what == caf::sec::request_timeout)
    return make_failure(errc::timed_out, string{who} + " did not answer in time");
  return make_failure(errc::internal, string{who} + " failed: " + to_string(what));
}

} // namespace chainmail
