// The readers of completions and embeddings.

#include "request_json.hpp"

namespace chainmail::simulator {

namespace {

constexpr std::size_t most_choices = 8192;

} // namespace

// -- what the endpoints share -------------------------------------------------

std::string read_model(const Value& root, std::string_view deployment) {
  if (!deployment.empty())
    return std::string(deployment);
  const Value* model = find(root, "model");
  if (model == nullptr)
    throw refusal{.message = "you must provide a 'model'", .param = "model"};
  if (!model->IsString() || model->GetStringLength() == 0)
    refuse("model", "a string that is not empty");
  return std::string(view(*model));
}

generation read_common(const Value& root, std::string_view deployment) {
  generation result;
  result.model = read_model(root, deployment);
  result.stream = boolean(root, "stream");
  if (const Value* wanted = find(root, "stream_options"); wanted != nullptr) {
    if (!wanted->IsObject() || !result.stream)
      refuse("stream_options", "an object, and only there with 'stream': true");
    result.include_usage = boolean(*wanted, "include_usage");
  }
  result.n = static_cast<std::size_t>(whole_number(root, "n", 1, 128).value_or(1));
  result.max_tokens = whole_number(root, "max_tokens", 1, unlimited);
  if (const Value* stop = find(root, "stop"); stop != nullptr)
    result.stop = strings(*stop, "stop", 4, "a string or an array of 1 to 4 strings");
  for (auto key : {"temperature", "top_p", "presence_penalty", "frequency_penalty"})
    check_number(root, key);
  return result;
}

// -- the readers --------------------------------------------------------------

generation read_completion(std::string_view json, std::string_view deployment) {
  document body(json);
  auto result = read_common(body.root(), deployment);
  auto best_of = whole_number(body.root(), "best_of", 1, 128);
  if (best_of && *best_of < result.n)
    refuse("best_of", "at least 'n'");
  constexpr auto wanted =
      "a string or an array of 1 to 2048 strings (token numbers are not simulated)";
  const Value* prompt = find(body.root(), "prompt");
  if (prompt == nullptr)
    refuse("prompt", wanted);
  result.prompts = strings(*prompt, "prompt", 2048, wanted);
  if (result.prompts.size() * result.n > most_choices)
    refuse("n", "so small that all prompts together get at most 8192 choices");
  for (const auto& text : result.prompts)
    result.prompt_bytes += text.size();
  return result;
}

embedding_request read_embeddings(std::string_view json, std::string_view deployment) {
  document body(json);
  embedding_request result;
  result.model = read_model(body.root(), deployment);
  constexpr auto wanted = "a string or an array of 1 to 2048 strings, none of them empty (token "
                          "numbers are not simulated)";
  const Value* input = find(body.root(), "input");
  if (input == nullptr)
    refuse("input", wanted);
  result.inputs = strings(*input, "input", 2048, wanted);
  for (const auto& text : result.inputs) {
    if (text.empty())
      refuse("input", wanted);
    result.input_bytes += text.size();
  }
  auto dimensions = whole_number(body.root(), "dimensions", 1, 3072);
  result.dimensions = static_cast<std::size_t>(dimensions.value_or(result.dimensions));
  if (const Value* format = find(body.root(), "encoding_format"); format != nullptr) {
    auto name = format->IsString() ? view(*format) : std::string_view{};
    if (name != "float" && name != "base64")
      refuse("encoding_format", "\"float\" or \"base64\"");
    result.as_base64 = name == "base64";
  }
  return result;
}

std::string_view utf8_prefix(std::string_view text, std::size_t limit) {
  if (text.size() <= limit)
    return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U)
    --limit;
  return text.substr(0, limit);
}

} // namespace chainmail::simulator
