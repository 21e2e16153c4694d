// What the scenarios of limits and failures have in common.
#pragma once

#include "call_run.hpp"
#include "report.hpp"

#include <chainmail/llm/spawn_llm.hpp>

#include <simulator/simulator.hpp>
#include <string>

namespace chainmail::bench {

/// For an endpoint simulated in this process, whatever the environment says.
llm_config config_for(const simulator::server& server);

/// Its own for every call, so that an answer shows which call it belongs to.
std::string numbered_prompt(size_t index);

/// Whether the simulator's answer is the one to numbered_prompt(index).
bool quotes_numbered_prompt(size_t index, const std::string& text);

/// A closed loop of numbered prompts.
call_plan numbered_calls(size_t calls, size_t in_flight);

/// What every scenario counts, and that it ran against a simulation.
void add_totals(report_writer& to, const call_totals& of, size_t calls);

/// "1.25", for sentences.
std::string digits(double number);

} // namespace chainmail::bench
