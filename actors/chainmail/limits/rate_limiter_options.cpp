// What is wrong with a rate limiter's options.
#include <chainmail/errors.hpp>
#include <chainmail/limits/rate_limiter.hpp>

namespace chainmail {

namespace {

constexpr int64_t most_of_a_limit = int64_t{1} << 40;

caf::error check(const rate_limits& limits, const std::string& where) {
  for (const auto& [name, number] : {std::pair{"requests_per_minute", limits.requests_per_minute},
           {"tokens_per_minute", limits.tokens_per_minute}, {"request_burst", limits.request_burst},
           {"token_burst", limits.token_burst}})
    if (number && (*number < 1 || *number > most_of_a_limit))
      return invalid_input(where + name + " must be from 1 to 2^40; leave it out for no limit");
  if (limits.max_in_flight && *limits.max_in_flight == 0)
    return invalid_input(where + "max_in_flight must be at least 1; leave it out for no limit");
  return {};
}

} // namespace

caf::error check(const rate_limiter_options& options) {
  if (auto error = check(options.defaults, "rate_limiter_options::defaults: "))
    return error;
  for (const auto& [key, limits] : options.keys)
    if (auto error = check(limits, "the limits of \"" + key + "\": "))
      return error;
  for (const auto& [tenant, weight] : options.weights)
    if (!(weight >= 0.001 && weight <= 1e6))
      return invalid_input("the weight of tenant \"" + tenant + "\" must be from 0.001 to 1000000");
  if (options.max_waiting == 0)
    return invalid_input("rate_limiter_options::max_waiting must be at least 1");
  return {};
}

} // namespace chainmail
