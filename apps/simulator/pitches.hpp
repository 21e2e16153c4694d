// Invents what a company would say of itself.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail::simulator {

/// Two sentences, if the end of `prompt` asks for a pitch or a slogan of someone who makes or sells
/// something. One seed and prompt give different ones for successive values of `count`.
std::optional<std::string> pitch(std::string_view prompt, std::uint64_t seed, std::uint64_t count);

} // namespace chainmail::simulator
