// The rules.
#include <chainmail/llm/guard_rules.hpp>

namespace chainmail {

bool may_fall_back(errc code) {
  switch (code) {
  case errc::cancelled:
  case errc::overloaded:
  case errc::content_filtered:
  case errc::invalid_input:
  case errc::unsupported:
    return false;
  default:
    return true;
  }
}

permit_report report_of(errc code, const error_detail& detail) {
  auto may_be_billed = code == errc::timed_out || code == errc::cancelled ||
                       code == errc::malformed_response || code == errc::response_too_large ||
                       code == errc::shut_down;
  permit_report result;
  result.use = code == errc::rate_limited ? permit_use::rate_limited : permit_use::failed;
  result.tokens = may_be_billed ? -1 : 0;
  result.retry_after = detail.retry_after;
  result.limits = detail.limits;
  return result;
}

caf::error with_attempts(const caf::error& last, std::vector<attempt> attempts) {
  auto sentence = sentence_of(last);
  if (auto tried = attempts.size(); tried > 1)
    sentence += " (attempt " + std::to_string(tried) +
                " at this call; the one before it: " + to_string(attempts[tried - 2].code) + ")";
  auto detail = detail_of(last).value_or(error_detail{});
  detail.attempts = std::move(attempts);
  return make_failure(code_of(last), std::move(sentence), std::move(detail));
}

} // namespace chainmail
