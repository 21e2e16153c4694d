// The main function of a chainmail program, in place of CAF_MAIN.
//
// CAF_MAIN of 0.18 parses options before it loads modules: caf.middleman.* is then refused on the
// command line, and caf.openssl.* of a config file is silently ignored. Here the modules are loaded
// in the constructor of the program's config, before anything is parsed.
#pragma once

#include <chainmail/caf/compat.hpp>
#include <chainmail/messages.hpp>

#include <caf/actor_system.hpp>
#include <caf/init_global_meta_objects.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace chainmail {

/// Registers chainmail's message types (and IdBlocks) with CAF. Once, before the first
/// actor_system.
template <class... IdBlocks>
void init_types() {
  caf::init_global_meta_objects<caf::id_block::chainmail, IdBlocks...>();
  caf::core::init_global_meta_objects();
}

/// Parses the options into a Config (a caf::actor_system_config) and runs `body(system, config)`,
/// whose result is the exit status. 2 for options that make no sense.
template <class Config, class Body>
int run_main(std::vector<std::string> arguments, Body body) {
  init_types();
  Config config;
  if (auto error = config.parse(std::move(arguments))) {
    std::cerr << "error: these options cannot be used: " << to_string(error)
              << "\n       --help lists what there is\n";
    return 2;
  }
  if (compat::printed_help(config))
    return EXIT_SUCCESS;
  if (!config.remainder.empty()) {
    std::cerr << "error: '" << config.remainder.front()
              << "' is no option\n       --help lists what there is\n";
    return 2;
  }
  caf::actor_system system{config};
  return body(system, config);
}

} // namespace chainmail
