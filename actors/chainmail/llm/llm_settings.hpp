// The usual stack's configuration as options of a program: in its file and on its command line.
#pragma once

#include <chainmail/llm/spawn_llm.hpp>

#include <caf/error.hpp>
#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace chainmail {

/// Plain fields for CAF to fill. As they are made, they change nothing in a configuration. A key is
/// none of them: it would stand in files and process lists.
struct llm_settings {
  /// "completions", "chat" or "anthropic"; empty for what the configuration says.
  std::string api = {};
  std::string base_url = {};
  std::string model = {};
  std::vector<std::string> fallback_models = {};
  uint64_t requests_per_minute = 0;
  uint64_t tokens_per_minute = 0;
  uint64_t max_in_flight = 0;
  uint64_t attempts = retry_options{}.max_attempts;
  caf::timespan attempt_timeout = retry_options{}.attempt_timeout;
  caf::timespan first_token_timeout = openai_options{}.first_token_timeout;
  caf::timespan idle_timeout = openai_options{}.idle_timeout;
  bool hedge = false;
  bool cache = false;
  std::string cache_file = {};
  caf::timespan cache_time = cache_options{}.time_to_live;
  /// Of the model, for a million tokens.
  double prompt_price = 0;
  double completion_price = 0;

  /// Adds them to a program's options, as --CATEGORY.requests-per-minute=600 and, in its file, as
  /// `CATEGORY { requests-per-minute = 600 }`. The settings must outlive the options.
  void add_to(caf::config_option_set& options, const std::string& category = "llm");

  /// Whether the base URL is set, here or in the environment of the API, or its key is.
  [[nodiscard]] bool has_endpoint() const;

  /// Writes what was set over a configuration; with "anthropic", the endpoint's defaults become those
  /// of llm_config::anthropic. errc::invalid_input for what makes no sense.
  caf::error apply_to(llm_config& config) const;
};

} // namespace chainmail
