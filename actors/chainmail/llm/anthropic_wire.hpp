// What reading Anthropic's responses and its streams have in common. For the .cpp files of the codec:
// it brings RapidJSON along.
#pragma once

#include <chainmail/llm/anthropic_options.hpp>
#include <chainmail/llm/provider_reply.hpp>

#include <string>
#include <string_view>

namespace chainmail {

/// The tool that stands for a response schema.
constexpr std::string_view answer_tool = "answer";

reply_source anthropic_source(const std::string& endpoint, const anthropic_options& options);

/// The finish reason in OpenAI's words; an unknown one as it is.
std::string_view finish_reason_of(std::string_view stop_reason);

/// Adds up what a "usage" says; counts that are missing stay as they are.
void read_usage(const json_value& usage, token_usage& into);

} // namespace chainmail
