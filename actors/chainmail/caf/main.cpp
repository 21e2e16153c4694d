// Command lines.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/main.hpp>

#include <caf/init_global_meta_objects.hpp>
#include <caf/pec.hpp>

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace chainmail {

void detail::init_chainmail_types(caf::type_id_t first_type_id) {
  if (first_type_id != CHAINMAIL_FIRST_TYPE_ID)
    throw std::logic_error{"the application was compiled with CHAINMAIL_FIRST_TYPE_ID " +
                           std::to_string(first_type_id) + ", and chainmail with " +
                           std::to_string(CHAINMAIL_FIRST_TYPE_ID)};
  caf::init_global_meta_objects<caf::id_block::chainmail>();
  caf::core::init_global_meta_objects();
}

namespace {

/// "missing argument" for caf::pec::missing_argument.
std::string words_of(caf::pec code) {
  auto result = to_string(code);
  if (auto colon = result.rfind(':'); colon != std::string::npos)
    result.erase(0, colon + 1);
  std::ranges::replace(result, '_', ' ');
  return result;
}

/// In the largest unit that leaves nothing over: "2min", "1276ms".
std::string show_time(caf::timespan time) {
  constexpr std::pair<const char*, int64_t> units[] = {{"h", 3'600'000'000'000},
      {"min", 60'000'000'000}, {"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}};
  for (auto [name, nanoseconds] : units)
    if (time.count() >= nanoseconds && time.count() % nanoseconds == 0)
      return std::to_string(time.count() / nanoseconds) + name;
  return time.count() == 0 ? "0s" : std::to_string(time.count()) + "ns";
}

} // namespace

void tune_scheduler(caf::actor_system_config& config) {
  size_t cores = std::max(std::thread::hardware_concurrency(), 1U);
  config.set("caf.scheduler.max-threads", cores);
  config.set("caf.work-stealing.aggressive-poll-attempts", size_t{10});
  config.set("caf.work-stealing.moderate-poll-attempts", size_t{1});
}

std::vector<std::string> take_option(std::vector<std::string>& arguments, std::string_view name) {
  std::vector<std::string> taken;
  auto prefix = std::string{name} + "=";
  for (auto i = arguments.begin(); i != arguments.end();) {
    if (i->starts_with(prefix)) {
      taken.push_back(i->substr(prefix.size()));
      i = arguments.erase(i);
    } else if (*i == name && std::next(i) != arguments.end()) {
      taken.push_back(*std::next(i));
      i = arguments.erase(i, i + 2);
    } else {
      ++i;
    }
  }
  return taken;
}

std::string with_default(std::string_view description, const std::string& text) {
  return std::string{description} + " (default: " + text + ")";
}

std::string with_default(std::string_view description, uint64_t number) {
  return with_default(description, std::to_string(number));
}

std::string with_default(std::string_view description, caf::timespan time) {
  return with_default(description, show_time(time));
}

std::optional<int> parse_options(
    caf::actor_system_config& config, std::vector<std::string> arguments) {
  auto refuse = [](const std::string& what) {
    std::cerr << "error: " << what << "\n       --help lists the options\n";
    return 2;
  };
  if (auto error = config.parse(std::move(arguments))) {
    const auto& context = error.context();
    auto culprit = !context.empty() && context.match_element<std::string>(0)
                       ? context.get_as<std::string>(0)
                       : to_string(error);
    if (error == caf::pec::not_an_option)
      return refuse("there is no option " + culprit);
    return refuse(
        culprit + " cannot be read (" + words_of(static_cast<caf::pec>(error.code())) + ")");
  }
  if (compat::printed_help(config))
    return 0;
  if (const auto& rest = compat::remainder(config); !rest.empty())
    return refuse("'" + rest.front() + "' is no option");
  return std::nullopt;
}

} // namespace chainmail
