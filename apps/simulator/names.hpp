// Invents brand names, which is what the simulator is asked for most.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// A brand name, if the end of `prompt` asks for a name of a company, product or the like.
/// One seed and prompt give a different name for each of at least 100 successive values of `count`.
std::optional<std::string> brand_name(
    std::string_view prompt, std::uint64_t seed, std::uint64_t count);

} // namespace chainmail::simulator
