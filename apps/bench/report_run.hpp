// Runs all that a report needs, and writes it.
#pragma once

#include "report_steps.hpp"

namespace chainmail::bench {

/// Says on standard error how far it is. Returns the exit status: 1 when the page could not be written
/// or a run of ours failed; bounds that were missed are the page's affair.
int write_report(const report_plan& plan);

} // namespace chainmail::bench
