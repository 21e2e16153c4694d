// What a scenario found, and whether it is what was demanded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::bench {

struct report {
  /// One line.
  std::string json;
  /// The first call's that failed; empty when none did.
  std::string first_error;
  /// What did not hold, a sentence each.
  std::vector<std::string> broken;
};

/// Puts a report together.
class report_writer {
public:
  explicit report_writer(std::string_view scenario);

  report_writer& add(std::string_view name, uint64_t number);
  report_writer& add(std::string_view name, double number);
  /// `text` needs no escapes.
  report_writer& add(std::string_view name, std::string_view text);
  /// `json` is a JSON text already.
  report_writer& add_json(std::string_view name, std::string_view json);

  report_writer& demand(bool holds, std::string sentence);

  report finish(std::string first_error);

private:
  std::string json_ = "{";
  std::vector<std::string> broken_;
};

} // namespace chainmail::bench
