// What follows for a guard from an error: rules without state.
#pragma once

#include <chainmail/errors.hpp>
#include <chainmail/limits.hpp>

#include <caf/error.hpp>

#include <vector>

namespace chainmail {

/// Whether another target may do better. Not for what the caller wanted (errc::cancelled), what a
/// queue of ours refused (errc::overloaded), nor for a request that no target should get.
bool may_fall_back(errc code);

/// What a failed attempt used of its permit: what may have reached the model counts as it was
/// reserved.
permit_report report_of(errc code, const error_detail& detail);

/// The error of a call after these attempts, the last of which it is.
caf::error with_attempts(const caf::error& last, std::vector<attempt> attempts);

} // namespace chainmail
