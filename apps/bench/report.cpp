// One line of JSON.
#include "report.hpp"

#include <cstdio>

namespace chainmail::bench {

report_writer::report_writer(std::string_view scenario) {
  add("scenario", scenario);
}

report_writer& report_writer::add(std::string_view name, uint64_t number) {
  return add_json(name, std::to_string(number));
}

report_writer& report_writer::add(std::string_view name, double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.4f", number);
  return add_json(name, text);
}

report_writer& report_writer::add(std::string_view name, std::string_view text) {
  return add_json(name, '"' + std::string{text} + '"');
}

report_writer& report_writer::add_json(std::string_view name, std::string_view json) {
  json_ += json_.size() > 1 ? ",\"" : "\"";
  json_.append(name).append("\":").append(json);
  return *this;
}

report_writer& report_writer::demand(bool holds, std::string sentence) {
  if (!holds)
    broken_.push_back(std::move(sentence));
  return *this;
}

report report_writer::finish(std::string first_error) {
  add_json("held", broken_.empty() ? "true" : "false");
  return {json_ + "}", std::move(first_error), std::move(broken_)};
}

} // namespace chainmail::bench
