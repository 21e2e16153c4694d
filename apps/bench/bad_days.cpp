// Prompts, configuration and counts.
#include "bad_days.hpp"

#include <cstdio>

namespace chainmail::bench {

llm_config config_for(const simulator::server& server) {
  llm_config result;
  result.endpoint = {};
  result.endpoint.base_url = server.base_url();
  return result;
}

std::string numbered_prompt(size_t index) {
  return "This is call number " + std::to_string(index) + " of the bench.";
}

bool quotes_numbered_prompt(size_t index, const std::string& text) {
  return text.ends_with('"' + numbered_prompt(index) + '"');
}

call_plan numbered_calls(size_t calls, size_t in_flight) {
  call_plan result;
  result.calls = calls;
  result.in_flight = in_flight;
  result.prompt = numbered_prompt;
  result.is_right = quotes_numbered_prompt;
  return result;
}

void add_totals(report_writer& to, const call_totals& of, size_t calls) {
  to.add_json("simulated", "true")
      .add("calls", uint64_t{calls})
      .add("right", of.right)
      .add("wrong", of.wrong)
      .add("errors", of.all_errors())
      .add_json("errors_by_code", of.errors_json())
      .add("unanswered", of.unanswered)
      .add("answered_twice", of.answered_twice)
      .add("attempts", of.attempts)
      .add("wall_s", of.wall_s)
      .add("p50_ms", of.p50_ms)
      .add("p99_ms", of.p99_ms);
  to.demand(of.unanswered == 0, std::to_string(of.unanswered) + " calls were never answered");
  to.demand(
      of.answered_twice == 0, std::to_string(of.answered_twice) + " calls were answered twice");
  to.demand(of.wrong == 0, std::to_string(of.wrong) + " calls got another text than theirs");
}

std::string digits(double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%.4g", number);
  return text;
}

} // namespace chainmail::bench
