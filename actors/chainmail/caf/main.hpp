// The main function of a chainmail program, in place of CAF_MAIN.
//
// CAF_MAIN of 0.18 parses options before it loads modules: caf.middleman.* is then refused on the
// command line, and caf.openssl.* of a config file is silently ignored. Here the modules are loaded
// in the constructor of the program's config, before anything is parsed.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/timespan.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chainmail {

namespace detail {

/// @param first_type_id CHAINMAIL_FIRST_TYPE_ID as the caller sees it
/// @throws std::logic_error when chainmail was compiled with another
void init_chainmail_types(caf::type_id_t first_type_id);

} // namespace detail

/// Registers the message types of chainmail, and those of the application's type-ID blocks
/// (`init_types<caf::id_block::my_app>()`), with CAF. Once, before the first actor_system.
template <class... IdBlocks>
void init_types() {
  using ours = caf::id_block::chainmail;
  static_assert(((IdBlocks::end <= ours::begin || IdBlocks::begin >= ours::end) && ...),
      "a type-ID block of the application overlaps chainmail's: begin it elsewhere, or build "
      "chainmail with another CHAINMAIL_FIRST_TYPE_ID");
  detail::init_chainmail_types(CHAINMAIL_FIRST_TYPE_ID);
  (caf::init_global_meta_objects<IdBlocks>(), ...);
}

/// Sets CAF's scheduler up for programs that wait more than they compute: one thread a core, and hardly
/// any polling. The defaults (four threads at least, 25 ms of polling every 50 us before a thread
/// sleeps) made a burst of 1,000 calls cost 1.5 times the CPU. Options given by the user still win.
void tune_scheduler(caf::actor_system_config& config);

/// Takes `name=TEXT` and `name TEXT` out of the arguments, however often they come: CAF keeps only
/// the last of an option. `name` has its dashes.
std::vector<std::string> take_option(std::vector<std::string>& arguments, std::string_view name);

/// The description of an option, and what the option is when nobody sets it: "port (default: 80)".
std::string with_default(std::string_view description, uint64_t number);
std::string with_default(std::string_view description, caf::timespan time);
std::string with_default(std::string_view description, const std::string& text);

/// Parses the arguments (without the program's name). The result, if any, is the exit status of a
/// program that is to end now: 0 after --help, 2 after a sentence on standard error about an option
/// that makes no sense.
std::optional<int> parse_options(
    caf::actor_system_config& config, std::vector<std::string> arguments);

/// Tunes the scheduler, parses the options into a Config (a caf::actor_system_config) and runs `body(system, config)`,
/// whose result is the exit status.
template <class Config, class Body>
int run_main(std::vector<std::string> arguments, Body body) {
  init_types();
  Config config;
  tune_scheduler(config);
  if (auto status = parse_options(config, std::move(arguments)))
    return *status;
  caf::actor_system system{config};
  return body(system, config);
}

} // namespace chainmail
